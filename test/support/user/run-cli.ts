// Runs the CLI in this process and records its streams.
import { PassThrough, Readable } from 'node:stream';
import { createCli } from '../../../src/cli/cli.ts';
import { runCli } from '../../../src/cli/run.ts';

export type CliOutcome = { exitCode: number; stdout: string; stderr: string };

/** Runs one command line. @param options.stdin the piped input; default: an empty pipe */
export async function runInProcess(
  env: Record<string, string>,
  argv: readonly string[],
  options: { stdin?: string | Buffer | Readable; stdinIsTTY?: boolean; programPath?: string } = {},
): Promise<CliOutcome> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const outcome = { exitCode: 0, stdout: '', stderr: '' };
  stdout.on('data', (chunk: Buffer) => (outcome.stdout += chunk.toString('latin1')));
  stderr.on('data', (chunk: Buffer) => (outcome.stderr += chunk.toString('utf8')));
  const stdin = options.stdin instanceof Readable ? options.stdin : new PassThrough();
  if (options.stdinIsTTY === true) Object.assign(stdin, { isTTY: true });
  else if (stdin instanceof PassThrough) stdin.end(options.stdin ?? '');
  const cli = createCli({ env, stdin, stdout: stdout, stderr: stderr, programPath: options.programPath ?? '/nowhere/dist/banger' });
  outcome.exitCode = await runCli(cli, argv);
  stdout.end();
  stderr.end();
  await new Promise((resolve) => setImmediate(resolve));
  return { ...outcome, stdout: Buffer.from(outcome.stdout, 'latin1').toString('utf8') };
}
