import { createCli } from './cli.ts';
import { callersEnvironment } from '../client/launch.ts';
import { endAtFailureOf, openStdinOnce, untilTaken } from './own-streams.ts';
import { runCli } from './run.ts';
import { environmentOfSwitches } from './switches.ts';

const argv = process.argv.slice(2);
const env = callersEnvironment(process.env);
for (const [name, value] of Object.entries(environmentOfSwitches(argv, env))) {
  if (value === undefined) delete env[name];
  else env[name] = value;
}
const { stdout, stderr } = process;
endAtFailureOf([stdout, stderr], stderr);
const taken = untilTaken([stdout, stderr]);
const openStdin = openStdinOnce();
const cli = createCli({
  env,
  // A command that only lists must never open it.
  get stdin() {
    return openStdin();
  },
  stdout,
  stderr,
  programPath: process.execPath,
});

void runCli(cli, argv).then(async (exitCode) => {
  process.exitCode = exitCode;
  await taken();
  process.exit(exitCode);
});
