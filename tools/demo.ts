// The tour of `make demo`: uses the programs like a user, in the user's own directories, and prints the duration of each stage.
import { spawnSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const banger = join(root, 'bin', 'banger');
const NAME = 'demo';
const times: string[] = [];

/** Prints a command, runs it, and ends the demo if it fails. */
function show(title: string, argv: readonly string[]): void {
  const begin = performance.now();
  console.log(`\n$ ${argv.map((word) => word.replace(banger, 'banger')).join(' ')}`);
  const [program = '', ...args] = argv;
  const { status, error } = spawnSync(program, args, { stdio: 'inherit', cwd: root });
  if (status !== 0) {
    console.error(
      `demo: "${title}" failed${error === undefined ? ` with status ${status}` : `: ${error.message}`}. \`banger doctor\` tells what is missing.`,
    );
    process.exit(1);
  }
  noteTime(title, begin);
}

function noteTime(title: string, begin: number): void {
  times.push(`  ${title.padEnd(28)} ${((performance.now() - begin) / 1000).toFixed(2).padStart(8)} s`);
}

/** @returns the output of `banger … -o json`, or undefined if it fails (a VM that does not exist) */
function ask<T>(...args: string[]): T | undefined {
  const { status, stdout } = spawnSync(banger, [...args, '-o', 'json'], { encoding: 'utf8', cwd: root });
  return status === 0 ? (JSON.parse(stdout) as T) : undefined;
}

function makeVmRun(): void {
  const listed = ask<{ name: string; state: string }[]>('vm', 'list') ?? [];
  const vm = listed.find(({ name }) => name === NAME);
  if (vm === undefined) show('create the VM', [banger, 'vm', 'create', '--name', NAME]);
  else if (vm.state !== 'running') show('start the VM', [banger, 'vm', 'start', NAME]);
  else console.log(`\nThe VM ${NAME} runs already.`);
}

/** Asks banger's own DNS server, which needs no change of the machine's resolver. */
async function showLookup(): Promise<void> {
  const begin = performance.now();
  const dns = ask<{ dns: { address: string; listening: boolean; problem: string | null } }>('daemon', 'status')?.dns;
  if (dns?.listening !== true) {
    console.log(`\nNo lookup of ${NAME}.vm: the DNS server does not listen (${dns?.problem ?? 'no daemon'}).`);
    return;
  }
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([dns.address]);
  const addresses = await resolver.resolve4(`${NAME}.vm`);
  console.log(`\n${NAME}.vm is ${addresses.join(', ')}, says the DNS server at ${dns.address}`);
  noteTime('look the name up', begin);
}

show('build', [process.execPath, ...process.execArgv, join(root, 'tools', 'build.ts')]);
show('runtime bundle', [banger, 'bundle', 'build']);
makeVmRun();
show('list', [banger, 'vm', 'list']);
show('run a command', [banger, 'vm', 'exec', NAME, '--', 'uname', '-a']);
show('the same over SSH', [banger, 'vm', 'ssh', NAME, '--', 'hostname']);
await showLookup();
console.log(`\nTimes\n${times.join('\n')}

Go on:   bin/banger vm ssh ${NAME}
         bin/banger vm ports ${NAME}
         bin/banger --help
Delete:  bin/banger vm delete ${NAME}`);
