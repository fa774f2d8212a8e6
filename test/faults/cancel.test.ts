// A verb is cancelled at every single thing that it does.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cases, VERB_NAMES, VerbRuns, VERBS } from './verb-runs.ts';

after(() => console.log(`${cases.size} different cases of a cancel`));

for (const verb of VERB_NAMES) {
  const isCreation = VERBS[verb].from === 'gone';
  test(`${verb} cancelled at anything is done or never was (1.4, 9.5)`, async (t) => {
    const runs = await VerbRuns.of(t, verb);
    for (const point of await runs.points()) {
      for (const phase of ['before', 'after'] as const) {
        const what = runs.case(point, `cancelled ${phase}`);
        await runs.prepare(what);
        const outcome = await runs.disturb(point, phase, () => {
          const running = runs.daemon.services.operations.list().find(({ state }) => state === 'running');
          runs.daemon.services.operations.cancel(running?.id ?? '');
        });
        const end = await runs.check(what);
        if (outcome?.state === 'done') assert.equal(end, VERBS[verb].to, what);
        else assert.deepEqual([outcome?.state, outcome?.error?.code], ['cancelled', 'CANCELLED'], what);
        if (isCreation && outcome?.state === 'cancelled') assertNoLogs(runs, what);
      }
    }
  });
}

function assertNoLogs({ world, daemon }: VerbRuns, what: string): void {
  const owners = daemon.services.vms.records.list().map(({ id }) => id);
  assert.deepEqual(readdirSync(join(world.directories.stateDirectory, 'logs')), owners, what);
}
