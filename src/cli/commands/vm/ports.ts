import { setTimeout as sleep } from 'node:timers/promises';
import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { openLiveScreen } from '../../live-screen.ts';
import { portLines } from '../../render/ports.ts';

const EXAMPLES = ['banger vm ports web', 'banger vm ports web --watch', "banger vm ports web -o json | jq -r '.[].url // empty'"];
const FRAME_MS = 1000;

export function declareCommand(cli: Cli) {
  return newCommand('ports', 'list what listens in a virtual machine, and where it is reached from here', EXAMPLES)
    .argument('<name>', 'name, id or beginning of an id')
    .option('-w, --watch', 'again every second, until q or Ctrl-C; with -o json one line each time')
    .addOption(outputOption())
    .option('-q, --quiet', 'endpoints only')
    .action(async (name, flags) => {
      const isQuiet = flags.quiet === true;
      if (flags.watch === true) return watch(cli, name, { isQuiet, isJson: flags.output === 'json' });
      const found = await cli.api().ports(name);
      if (flags.output === 'json') return cli.print(JSON.stringify(found, null, 2));
      for (const line of portLines(cli.stdout, found, isQuiet)) cli.print(line);
      const names = [...new Set(found.flatMap(({ nameUrl }) => nameUrl ?? []))];
      // For people alone: a program reads them in JSON.
      if (!isQuiet && names.length > 0 && cli.stdout.isTTY === true) cli.note(`by name (banger dns setup): ${names.join(' ')}`);
    });
}

/** Goes on until the user ends it; that is no failure. */
async function watch(cli: Cli, name: string, { isQuiet, isJson }: { isQuiet: boolean; isJson: boolean }): Promise<void> {
  // The first answer comes before the screen, so that a name that is wrong is told where it can be read.
  let found = await cli.api().ports(name);
  const screen = openLiveScreen(cli, isJson);
  try {
    for (;;) {
      screen.draw(isJson ? [JSON.stringify(found)] : portLines(cli.stdout, found, isQuiet));
      await sleep(FRAME_MS, undefined, { signal: screen.signal });
      found = await cli.api().ports(name, screen.signal);
    }
  } catch (error) {
    if (!screen.signal.aborted) throw error;
  } finally {
    screen.close();
  }
}
