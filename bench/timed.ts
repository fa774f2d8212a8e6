import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs a command and discards its output.
 * @returns milliseconds
 * @throws Error with the tail of stderr if the status is not 0
 */
export async function timeCommand(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const [program = '', ...args] = argv;
  const begin = performance.now();
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-2000)));
  const [status] = (await once(child, 'exit')) as [number | null];
  const durationMs = performance.now() - begin;
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
  return durationMs;
}

/** Starts a program in a process group of its own, and ends the whole group afterwards, however `use` ends. */
export async function withProgram<T>(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  use: (child: ChildProcess) => Promise<T>,
): Promise<T> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env, stdio: 'ignore', detached: true });
  const exited = once(child, 'exit');
  const early = exited.then(() => {
    throw new Error(`${program} ended before it was measured`);
  });
  try {
    return await Promise.race([use(child), early]);
  } finally {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL');
    await exited;
  }
}
