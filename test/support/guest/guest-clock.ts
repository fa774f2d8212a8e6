// Compares a guest's clock with this machine's, as a program in the guest sees it.
import assert from 'node:assert/strict';
import type { Health } from '../../../src/api/schemas.ts';
import { eventually, type GuestHandle } from '../machine/e2e.ts';
import type { Sandbox } from '../machine/sandbox.ts';

/** What requirement 10.8 allows. */
const ALLOWED_MS = 100;

/** Waits until the guest has the time of this machine, according to banger and to `date` in the guest (10.8). */
export async function hasOurTime(sandbox: Sandbox, vm: GuestHandle): Promise<void> {
  const ask = async (): Promise<number | null> => {
    const health = JSON.parse(await sandbox.must(['vm', 'health', vm.name, '-o', 'json'])) as Health;
    return health.clockOffsetMs;
  };
  await eventually('the right time', ask, (offsetMs) => offsetMs !== null && Math.abs(offsetMs) < ALLOWED_MS);
  const before = Date.now();
  const inside = Number(await vm.sh('date +%s%3N'));
  assert.ok(inside > before - ALLOWED_MS && inside < Date.now() + ALLOWED_MS, `${inside} is not between ${before} and ${Date.now()}`);
}
