// A thousand random verbs on ten VMs with things going wrong in between. The seed is printed; `SEED=n make walk` walks it again.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { walk } from './fake-walk.ts';

const FIXED_SEED = 20_260_101;
const given = process.env['SEED'] ?? process.env['BANGER_SEED'];
const seeds = given === undefined ? [FIXED_SEED, randomInt(2 ** 31)] : [Number(given)];
const verbCount = Number(process.env['VERBS'] ?? 1000);

for (const seed of seeds) {
  test(`nothing is lost and nothing leaks on the walk of SEED=${seed} (3.4, 3.8, 9.5)`, async (t) => {
    assert.ok(Number.isSafeInteger(seed), 'SEED is a number');
    const { verbs, bursts } = await walk({ seed, vmCount: 10, verbCount, timeLimitMs: 28_000, leastVerbCount: 50 });
    t.diagnostic(`SEED=${seed}: ${verbs} verbs in ${bursts} bursts`);
  });
}
