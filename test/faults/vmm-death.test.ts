// The VMM dies as by kill -9 at every single thing that a verb does.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { until } from '../support/daemon/test-daemon.ts';
import { cases, VERB_NAMES, VerbRuns, VERBS } from './verb-runs.ts';

after(() => console.log(`${cases.size} different cases of a VMM that dies`));

for (const verb of VERB_NAMES) {
  if (VERBS[verb].from !== 'running' && VERBS[verb].to !== 'running') continue;
  test(`a VMM that dies at anything in ${verb} takes nothing along but its guest's memory (3.8, 9.5)`, async (t) => {
    const runs = await VerbRuns.of(t, verb);
    const machineOfWeb = () => [...runs.world.machines.machines.values()].find(({ spec }) => spec.vmName === 'web');
    let deaths = 0;
    for (const point of await runs.points()) {
      const what = runs.case(point, 'VMM dies');
      await runs.prepare(what);
      await runs.disturb(point, 'before', () => {
        if (machineOfWeb() !== undefined) deaths++;
        machineOfWeb()?.end({ cause: 'crash', detail: 'ended by SIGKILL' });
      });
      // The daemon hears of it and cleans up, beside the verb or after it.
      await until(() => runs.daemon.services.vms.records.list().every(({ id, state }) => state !== 'running' || isHeld(runs, id)));
      await settle(runs);
      await runs.check(what, 'stopped');
    }
    assert.ok(deaths > 5, `only ${deaths} deaths`);
  });
}

/** Whether the daemon holds a machine that lives. */
function isHeld(runs: VerbRuns, vmId: string): boolean {
  const process = runs.daemon.services.vms.machines.find(vmId)?.machine.process;
  return process !== undefined && runs.world.host.isAlive(process);
}

/** Waits for what holds the lock of `web`: cleaning up is no operation. */
async function settle(runs: VerbRuns): Promise<void> {
  const { services } = runs.daemon;
  for (const { id } of services.vms.records.list())
    await services.vms.locks.hold(id, new AbortController().signal, () => Promise.resolve());
}
