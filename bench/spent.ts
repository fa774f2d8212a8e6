// What a command costs this machine while it runs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';

/** Peaks only rise, so a look now and then misses no more than what comes in the last moment. */
const LOOK_MS = 25;

export type Spent = { durationMs: number; peakMib: number };

/**
 * Runs a command to its end with its output thrown away.
 * @returns how long it took, and the sum of the most memory that it and every process below it ever held
 * @throws Error with the tail of stderr when the status is not 0
 */
export async function spentBy(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<Spent> {
  const [program = '', ...args] = argv;
  const begin = performance.now();
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-2000)));
  const { stop, peaks } = watchPeaks(child);
  const [status] = (await once(child, 'exit')) as [number | null];
  const durationMs = performance.now() - begin;
  stop();
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
  return { durationMs, peakMib: [...peaks.values()].reduce((sum, mib) => sum + mib, 0) };
}

function watchPeaks(child: ChildProcess): { peaks: ReadonlyMap<number, number>; stop(): void } {
  const peaks = new Map<number, number>();
  const look = (pid: number): void => {
    const mib = peakOf(pid);
    if (mib !== undefined) peaks.set(pid, Math.max(mib, peaks.get(pid) ?? 0));
    for (const below of childrenOf(pid)) look(below);
  };
  const timer = setInterval(() => look(child.pid ?? 0), LOOK_MS);
  return { peaks, stop: () => clearInterval(timer) };
}

function childrenOf(pid: number): number[] {
  return (
    readIfThere(`/proc/${pid}/task/${pid}/children`)
      ?.split(' ')
      .filter((word) => word !== '')
      .map(Number) ?? []
  );
}

/** @returns MiB that a process held at most; none when it has ended (source: proc(5), VmHWM) */
export function peakOf(pid: number): number | undefined {
  const found = /^VmHWM:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/status`) ?? '');
  return found === null ? undefined : Number(found[1]) / 1024;
}

/** Lets the peak of a process begin anew at what it holds now (source: proc(5), clear_refs). */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
