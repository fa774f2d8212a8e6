// What a command costs this machine while it runs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';

/** Peaks and times only rise, so sampling misses no more than the last moment. */
const LOOK_MS = 25;

/** USER_HZ of proc(5), which is 100 wherever Node runs. */
const TICK_MS = 10;

export type Spent = { durationMs: number; cpuMs: number; peakMib: number };

/**
 * Runs a command and discards its output.
 * @returns its duration, the processor time of it and all its descendants, and the sum of their peak memory
 * @throws Error with the tail of stderr if the status is not 0
 */
export async function spentBy(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<Spent> {
  const [program = '', ...args] = argv;
  const begin = performance.now();
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-2000)));
  const { stop, peaks, times } = watch(child);
  const [status] = (await once(child, 'exit')) as [number | null];
  const durationMs = performance.now() - begin;
  stop();
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
  return { durationMs, cpuMs: sumOf(times), peakMib: sumOf(peaks) };
}

const sumOf = (map: ReadonlyMap<number, number>): number => [...map.values()].reduce((sum, value) => sum + value, 0);

type Watch = { peaks: ReadonlyMap<number, number>; times: ReadonlyMap<number, number>; stop(): void };

function watch(child: ChildProcess): Watch {
  const peaks = new Map<number, number>();
  const times = new Map<number, number>();
  const look = (pid: number): void => {
    const mib = peakOf(pid);
    const cpuMs = cpuMsOf(pid);
    if (cpuMs !== undefined) times.set(pid, cpuMs);
    if (mib !== undefined) peaks.set(pid, Math.max(mib, peaks.get(pid) ?? 0));
    for (const below of childrenOf(pid)) look(below);
  };
  const timer = setInterval(() => look(child.pid ?? 0), LOOK_MS);
  return { peaks, times, stop: () => clearInterval(timer) };
}

function childrenOf(pid: number): number[] {
  return (
    readIfThere(`/proc/${pid}/task/${pid}/children`)
      ?.split(' ')
      .filter((word) => word !== '')
      .map(Number) ?? []
  );
}

/** @returns the peak memory of a process in MiB; none if it has ended (source: proc(5), VmHWM) */
export function peakOf(pid: number): number | undefined {
  const found = /^VmHWM:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/status`) ?? '');
  return found === null ? undefined : Number(found[1]) / 1024;
}

/** @returns processor time of a process so far; none if it has ended (source: proc(5), utime and stime) */
export function cpuMsOf(pid: number): number | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name before the last parenthesis may contain any character.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Resets the peak of a process to its present memory (source: proc(5), clear_refs). */
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
