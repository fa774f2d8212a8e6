import { realpathSync } from 'node:fs';
import { createCli } from './cli.ts';
import { callersEnvironment } from './launch.ts';
import { runCli } from './run.ts';
import { environmentOfSwitches } from './switches.ts';

/** `| head` ends early and that is no error (stack of manners: EPIPE is silent). */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

process.stdout.on('error', endQuietly);
process.stderr.on('error', endQuietly);

const argv = process.argv.slice(2);
const env = callersEnvironment(process.env);
for (const [name, value] of Object.entries(environmentOfSwitches(argv, env))) {
  if (value === undefined) delete env[name];
  else env[name] = value;
}
const { stdout, stderr } = process;
const cli = createCli({
  env,
  // A getter of Node's that opens the stream; a listing must never touch it.
  get stdin() {
    return process.stdin;
  },
  stdout,
  stderr,
  programPath: realpathSync(process.argv[1] ?? '.'),
});

void runCli(cli, argv).then((exitCode) => process.exit(exitCode));
