// The cost of the records of ten thousand stopped VMs.
import { mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../src/store/database.ts';
import { NEVER_RUN } from '../src/model/vm.ts';
import { createVmStore } from '../src/store/vms.ts';
import type { Bench, BenchContext } from './bench.ts';
import type { RowResult } from './round-robin.ts';
import { withProgram } from './timed.ts';

const COUNT = 10_000;
const GIB = 1024 ** 3;
const SPEC = { vcpuCount: 2, memoryMib: 1024, workDiskBytes: 8 * GIB, rootOverlayBytes: 8 * GIB, nat: true };
const START_TIMEOUT_MS = 30_000;
const bangerd = join(import.meta.dirname, '..', 'bin', 'bangerd');

function writeRecords(path: string, count: number): void {
  const database = openDatabase(path);
  const vms = createVmStore(database);
  database.exec('BEGIN');
  for (let at = 0; at < count; at++) {
    const [id, createdAt] = [at.toString(16).padStart(32, '0'), new Date(1_767_225_600_000 + at * 1000).toISOString()];
    const identity = { id, name: `vm-${at}`, imageId: '1'.repeat(32), imageName: 'default', networkIndex: 2 + at, createdAt };
    vms.insert({ ...NEVER_RUN, ...identity, state: 'stopped', spec: SPEC });
  }
  database.exec('COMMIT');
  database.close();
}

/** @returns milliseconds until the whole reply has arrived; undefined if nothing listens */
function ask(socketPath: string, path: string): Promise<number | undefined> {
  const begin = performance.now();
  return new Promise((resolve) => {
    request({ socketPath, path }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode === 200 ? performance.now() - begin : undefined));
    })
      .on('error', () => resolve(undefined))
      .end();
  });
}

type Row = 'start' | 'list' | 'show';

async function measure(context: BenchContext, count: number): Promise<Record<Row, number[]>> {
  const directory = join(context.scratch, `records-${count}`);
  const part = (name: string): string => join(directory, name);
  for (const name of ['state', 'cache', 'run']) mkdirSync(part(name), { recursive: true, mode: 0o700 });
  const env = {
    ...context.sandbox.env,
    BANGER_STATE_DIR: part('state'),
    BANGER_CACHE_DIR: part('cache'),
    BANGER_RUNTIME_DIR: part('run'),
  };
  const socket = join(part('run'), 'bangerd.sock');
  writeRecords(join(part('state'), 'banger.db'), count);
  const found: Record<Row, number[]> = { start: [], list: [], show: [] };
  for (let round = 0; round < context.rounds.slow; round++) {
    const begin = performance.now();
    await withProgram([bangerd], env, async (daemon) => {
      while ((await ask(socket, `/v1/vms/vm-${count - 1}`)) === undefined) {
        if (performance.now() - begin > START_TIMEOUT_MS) throw new Error('bangerd does not answer');
        await sleep(5);
      }
      found.start.push(performance.now() - begin);
      for (let at = 0; at < context.rounds.fast; at++) {
        found.list.push((await ask(socket, '/v1/vms')) ?? Number.NaN);
        found.show.push((await ask(socket, `/v1/vms/vm-${count - 1 - (at % 10)}`)) ?? Number.NaN);
      }
      daemon.kill('SIGTERM');
      await new Promise((resolve) => daemon.once('exit', resolve));
    });
  }
  return found;
}

export const recordsBench: Bench = {
  name: 'records',
  title: 'records of VMs',
  unit: 'ms',
  goals: {
    'start with 10 000': [{ atMost: 1000 }],
    'list 10 000': [{ atMost: 30 }],
    'show one of 10 000': [{ against: 'show one of 10', atMost: 2 }],
  },
  async run(context): Promise<RowResult[]> {
    const few = await measure(context, 10);
    const many = await measure(context, COUNT);
    const rows = (count: string, found: Record<Row, number[]>): RowResult[] => [
      { name: `start with ${count}`, samples: found.start },
      { name: `list ${count}`, samples: found.list },
      { name: `show one of ${count}`, samples: found.show },
    ];
    return [...rows('10', few), ...rows('10 000', many)];
  },
};
