import { realpathSync } from 'node:fs';
import { createCli } from './cli.ts';
import { runCli } from './run.ts';

/** `| head` ends early and that is no error (stack of manners: EPIPE is silent). */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

process.stdout.on('error', endQuietly);
process.stderr.on('error', endQuietly);

const argv = process.argv.slice(2);
// Before the first `--` only: what comes after it belongs to a command in the guest.
const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
if (own[0] === '--no-color' || (own.includes('--no-color') && !['exec', 'ssh'].includes(own[1] ?? ''))) {
  process.env['NO_COLOR'] = '1';
  delete process.env['FORCE_COLOR'];
}
if (own[0] === '--debug' || (own.includes('--debug') && !['exec', 'ssh'].includes(own[1] ?? ''))) process.env['BANGER_DEBUG'] = '1';

const { env, stdout, stderr } = process;
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
