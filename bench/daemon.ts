import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DaemonStatus } from '../src/api/schemas.ts';
import type { Sandbox } from '../test/support/machine/sandbox.ts';
import { type Bench, type BenchContext, createRunning } from './bench.ts';
import { type RowResult, measureRoundRobin } from './round-robin.ts';
import { withProgram } from './timed.ts';

const IDLE_MS = 60_000;
const START_TIMEOUT_MS = 10_000;
const bangerd = join(import.meta.dirname, '..', 'bin', 'bangerd');

/** @returns MiB: Rss; Pss, which counts a shared page in part; Uss, which would be free without the process */
function memoryOf(pid: number): Record<'rss' | 'pss' | 'uss', number> {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
  return { rss: mib('Rss'), pss: mib('Pss'), uss: mib('Private_Clean') + mib('Private_Dirty') };
}

export async function daemonPid(sandbox: Sandbox): Promise<number> {
  return (JSON.parse(await sandbox.must(['daemon', 'status', '-o', 'json'])) as DaemonStatus).pid;
}

async function runMemory({ sandbox, rounds }: BenchContext): Promise<RowResult[]> {
  await createRunning(sandbox, 'bench-memory');
  const pid = await daemonPid(sandbox);
  await sleep(IDLE_MS);
  return withProgram([process.execPath, '-e', 'setInterval(() => {}, 1e6)'], sandbox.env, async (idle) => {
    await sleep(1000);
    const row = (name: string, process: number, kind: 'rss' | 'pss' | 'uss') => ({
      name,
      measure: () => Promise.resolve(memoryOf(process)[kind]),
    });
    return measureRoundRobin(
      [
        row('idle node, RSS', idle.pid ?? 0, 'rss'),
        row('bangerd, RSS', pid, 'rss'),
        row('bangerd, PSS', pid, 'pss'),
        row('bangerd, USS', pid, 'uss'),
      ],
      rounds.slow,
    );
  });
}

export const memoryBench: Bench = {
  name: 'memory',
  title: 'daemon a minute after a create',
  unit: 'MiB',
  goals: { 'bangerd, RSS': [{ atMost: 80 }] },
  run: runMemory,
};

/** @returns how often the threads of a process went to sleep in a second */
async function wakeUpsPerSecond(pid: number, seconds: number): Promise<number> {
  const count = (): number =>
    readdirSync(`/proc/${pid}/task`)
      .map((task) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))?.[1]))
      .reduce((sum, switches) => sum + switches, 0);
  const before = count();
  await sleep(seconds * 1000);
  return (count() - before) / seconds;
}

export const wakeUpsBench: Bench = {
  name: 'wake-ups',
  title: 'wake-ups of the idle daemon',
  unit: '1/s',
  goals: { 'no VM': [{ atMost: 0 }] },
  run: async ({ sandbox }) => {
    await sandbox.must(['daemon', 'start']);
    const pid = await daemonPid(sandbox);
    const samples = async (): Promise<number[]> => {
      await sleep(5000);
      const found: number[] = [];
      for (let at = 0; at < 5; at++) found.push(await wakeUpsPerSecond(pid, 3));
      return found;
    };
    const without = { name: 'no VM', samples: await samples() };
    await createRunning(sandbox, 'bench-wake-ups');
    return [without, { name: 'one VM', samples: await samples() }];
  },
};

/** Starts a daemon in directories of its own. @returns milliseconds until its socket accepts a connection */
async function measureStart({ sandbox, scratch }: BenchContext): Promise<number> {
  const directory = join(scratch, 'start');
  const part = (name: string): string => join(directory, name);
  for (const name of ['state', 'cache', 'run']) mkdirSync(part(name), { recursive: true, mode: 0o700 });
  const env = { ...sandbox.env, BANGER_STATE_DIR: part('state'), BANGER_CACHE_DIR: part('cache'), BANGER_RUNTIME_DIR: part('run') };
  const begin = performance.now();
  try {
    return await withProgram([bangerd], env, async (daemon) => {
      await connected(join(part('run'), 'bangerd.sock'), begin + START_TIMEOUT_MS);
      const durationMs = performance.now() - begin;
      daemon.kill('SIGTERM');
      return await new Promise<number>((resolve) => daemon.once('exit', () => resolve(durationMs)));
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function connected(path: string, deadline: number): Promise<void> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      socket.destroy();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(2);
    }
  }
}

export const startBench: Bench = {
  name: 'start',
  title: 'start of the daemon',
  unit: 'ms',
  goals: { 'bangerd, until it listens': [{ atMost: 250 }] },
  run: (context) => measureRoundRobin([{ name: 'bangerd, until it listens', measure: () => measureStart(context) }], context.rounds.slow),
};
