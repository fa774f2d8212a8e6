import { setTimeout as sleep } from 'node:timers/promises';
import type { DaemonStatus } from '../src/api/schemas.ts';
import type { Sandbox } from '../test/support/machine/sandbox.ts';
import { type Bench, banger, timed } from './bench.ts';
import { measureRoundRobin } from './round-robin.ts';

const LOOK_MS = 500;

/** Switches the pool on, and makes what it is made of. */
async function warm(sandbox: Sandbox): Promise<Sandbox> {
  const env = { ...sandbox.env, BANGER_TEMPLATES_ENABLED: 'true', BANGER_TEMPLATES_POOL: '1' };
  const pooled: Sandbox = { ...sandbox, env, must: (args, run) => sandbox.must(args, { ...run, env: { ...env, ...run?.env } }) };
  await pooled.must(['daemon', 'restart', '--yes']);
  await pooled.must(['image', 'warm', 'default'], { timeoutMs: 600_000 });
  return pooled;
}

async function waitForSpare(sandbox: Sandbox): Promise<void> {
  for (;;) {
    const { spares } = JSON.parse(await sandbox.must(['daemon', 'status', '-o', 'json'])) as DaemonStatus;
    if (spares.ready > 0) return;
    await sleep(LOOK_MS);
  }
}

type Way = { name: string; flags: readonly string[]; verb: 'exec' | 'ssh' };

/** Creates a VM while a spare is ready, measures until `true` has run in it, and deletes it (not measured). */
async function measureFirst(sandbox: Sandbox, { name, flags, verb }: Way): Promise<number> {
  await waitForSpare(sandbox);
  try {
    const createMs = await timed(sandbox, banger, 'vm', 'create', '--name', name, ...flags);
    return createMs + (await timed(sandbox, banger, 'vm', verb, name, '--', 'true'));
  } finally {
    await sandbox.must(['vm', 'delete', '--force', name]);
  }
}

/** From nothing to the first command, with a finished clone and with a boot. */
export const poolBench: Bench = {
  name: 'pool',
  title: 'create from the pool',
  unit: 'ms',
  goals: { 'pool, then exec': [{ against: 'boot, then exec', atMost: 1 / 30 }] },
  limitMinutes: 30,
  async run({ sandbox, rounds }) {
    const pooled = await warm(sandbox);
    const row = (name: string, flags: readonly string[], verb: 'exec' | 'ssh') => ({
      name,
      measure: (round: number) => measureFirst(pooled, { name: `${verb}-${flags.length}-${round}`, flags, verb }),
    });
    const rows = [
      row('boot, then exec', ['--cold'], 'exec'),
      row('pool, then exec', [], 'exec'),
      row('boot, then ssh', ['--cold'], 'ssh'),
      row('pool, then ssh', [], 'ssh'),
    ];
    try {
      return await measureRoundRobin(rows, rounds.slow);
    } finally {
      await pooled.must(['template', 'delete', '--all']);
    }
  },
};
