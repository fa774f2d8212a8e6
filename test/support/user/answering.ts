import { PassThrough } from 'node:stream';
import { createCli } from '../../../src/cli/cli.ts';
import { runCli } from '../../../src/cli/run.ts';

/** Runs one command line in this process, at a terminal at which somebody answers every question. */
export async function answering(env: Record<string, string>, answer: string, argv: readonly string[]) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 200, getColorDepth: () => 1 });
  let text = '';
  stderr.on('data', (chunk: Buffer) => {
    text += String(chunk);
    if (String(chunk).includes('[y/N]')) stdin.write(`${answer}\n`);
  });
  const cli = createCli({ env, stdin, stdout: new PassThrough(), stderr, programPath: '/nowhere/dist/banger' });
  return { exitCode: await runCli(cli, argv), text };
}
