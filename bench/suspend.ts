import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Sandbox } from '../test/support/machine/sandbox.ts';
import { type Bench, banger, createRunning, showVm, timed } from './bench.ts';
import { type Row, type RowResult, measureRoundRobin } from './round-robin.ts';

const MIB = 1024 ** 2;
const BLOCK_BYTES = 512;
/** Programs and libraries, in memory alone. */
const FILL = 'mount -o remount,size=80% /dev/shm; for n in 1 2; do tar -C /usr -c . 2>/dev/null | head -c 300M >/dev/shm/$n; done';

/** A guest that is suspended and resumed, and what was seen of it meanwhile. */
class Guest {
  readonly used: number[] = [];
  readonly stored: number[] = [];
  readonly #sandbox: Sandbox;
  readonly #name: string;

  constructor(sandbox: Sandbox, name: string) {
    this.#sandbox = sandbox;
    this.#name = name;
  }

  run(script: string): Promise<string> {
    return this.#sandbox.must(['vm', 'exec', this.#name, '--', 'sh', '-c', script], { timeoutMs: 300_000 });
  }

  /** @returns milliseconds */
  async suspend(): Promise<number> {
    const free = await this.run("awk '/^MemTotal/ { t = $2 } /^MemFree/ { print t - $2 }' /proc/meminfo");
    const ms = await timed(this.#sandbox, banger, 'vm', 'suspend', this.#name);
    const directory = join((await showVm(this.#sandbox, this.#name)).paths.directory, 'snapshot');
    const blocks = readdirSync(directory).map((file) => statSync(join(directory, file)).blocks);
    this.used.push((Number(free) * 1024) / MIB);
    this.stored.push((blocks.reduce((sum, one) => sum + one, 0) * BLOCK_BYTES) / MIB);
    return ms;
  }

  /** @returns milliseconds until a command has run */
  async resume(): Promise<number> {
    const ms = await timed(this.#sandbox, banger, 'vm', 'resume', this.#name);
    return ms + (await timed(this.#sandbox, banger, 'vm', 'exec', this.#name, '--', 'true'));
  }

  async start(): Promise<number> {
    await this.#sandbox.must(['vm', 'stop', this.#name]);
    const ms = await timed(this.#sandbox, banger, 'vm', 'start', this.#name);
    return ms + (await timed(this.#sandbox, banger, 'vm', 'exec', this.#name, '--', 'true'));
  }

  /** One is measured, and the other leads back. @param what in names of rows */
  rows(what: string): Row[] {
    const suspendOnly = async (): Promise<number> => {
      const ms = await this.suspend();
      await this.resume();
      return ms;
    };
    const resumeOnly = async (): Promise<number> => {
      await this.suspend();
      return this.resume();
    };
    return [
      { name: `suspend, ${what}`, measure: suspendOnly },
      { name: `resume, then exec, ${what}`, measure: resumeOnly },
    ];
  }

  sizes(what: string): RowResult[] {
    return [
      { name: `memory in use, ${what}`, samples: this.used, unit: 'MiB' },
      { name: `on disk, ${what}`, samples: this.stored, unit: 'MiB' },
    ];
  }
}

const [IDLE, FULL] = ['fresh', '600 MiB of files'];
const COLD = 'cold start, then exec';

/** Guests of 1 GiB: one as it is after its boot, one with much in its memory, and one that boots. */
export const suspendBench: Bench = {
  name: 'suspend',
  title: 'suspend and resume',
  unit: 'ms',
  limitMinutes: 30,
  goals: {
    [`suspend, ${IDLE}`]: [{ atMost: 1000 }],
    [`resume, then exec, ${IDLE}`]: [{ atMost: 1000 }, { against: COLD, atMost: 0.5 }],
    [`suspend, ${FULL}`]: [{ atMost: 1000 }],
    [`resume, then exec, ${FULL}`]: [{ atMost: 1000 }, { against: COLD, atMost: 0.5 }],
    [`on disk, ${IDLE}`]: [{ against: `memory in use, ${IDLE}`, atMost: 1.2 }],
    [`on disk, ${FULL}`]: [{ against: `memory in use, ${FULL}`, atMost: 1.2 }],
  },
  async run({ sandbox, rounds }) {
    const guests: Record<'cold' | 'idle' | 'full', Guest> = {
      cold: new Guest(sandbox, 'bench-cold'),
      idle: new Guest(sandbox, 'bench-idle'),
      full: new Guest(sandbox, 'bench-full'),
    };
    for (const name of Object.keys(guests)) await createRunning(sandbox, `bench-${name}`);
    await guests.full.run(FILL);
    const { cold, idle, full } = guests;
    const rows = [{ name: COLD, measure: () => cold.start() }, ...idle.rows(IDLE), ...full.rows(FULL)];
    const timings = await measureRoundRobin(rows, rounds.slow);
    return [...timings, ...idle.sizes(IDLE), ...full.sizes(FULL)];
  },
};
