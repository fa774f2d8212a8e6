import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { vmRecord } from '../../../test/support/daemon/vm-record.ts';
import { createMachines, type LiveMachine } from '../../context/machines.ts';
import type { LifecycleServices } from '../../context/services.ts';
import type { Machine } from '../../drivers/hypervisor/contract.ts';
import type { AgentClient } from '../../guest/agent-client.ts';
import { openStore, type Store } from '../../store/store.ts';
import { waitForVm } from './wait.ts';

type Bench = {
  services: LifecycleServices;
  vms: Store['vms'];
  hold: () => LiveMachine;
  wait: (goal: Goal) => ReturnType<typeof waitForVm>;
};
type Goal = Parameters<typeof waitForVm>[2]['for'];

const ID = vmRecord({}).id;

/** Timers never fire here: what ends a wait is an event. */
function benchFor(t: TestContext, healthz: AgentClient['healthz']): Bench {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { vms, close } = openStore(':memory:');
  t.after(close);
  const machines = createMachines(() => undefined);
  const services = { vms: { records: vms, machines } } as unknown as LifecycleServices;
  const machine = { exited: new Promise(() => undefined) } as unknown as Machine;
  vms.insert(vmRecord({ state: 'creating' }));
  return {
    services,
    vms,
    hold: () => machines.add(ID, machine, { healthz } as unknown as AgentClient),
    wait: (goal) => waitForVm(services, vmRecord({}), { for: goal, timeoutMs: 60_000 }, t.signal),
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a wait ends with the change of the record or the machine that it is about, without looking again and again (3.1)', async (t) => {
  let asked = 0;
  const health = { personalized: true } as Awaited<ReturnType<AgentClient['healthz']>>;
  const { vms, hold, wait } = benchFor(t, () => (asked++, Promise.resolve(health)));
  const waits = [wait('running'), wait('ssh')];
  await turn();
  vms.move(ID, 'running');
  await turn();
  assert.equal(asked, 0, 'a guest that nobody holds cannot be asked');
  hold();
  assert.deepEqual(
    (await Promise.all(waits)).map(({ state }) => state),
    ['running', 'running'],
  );
  assert.equal(asked, 1);
  const stopped = wait('stopped');
  await turn();
  vms.move(ID, 'stopping');
  vms.move(ID, 'stopped');
  assert.equal((await stopped).state, 'stopped');
});

test('nobody waits for ssh where the guest said that there is no server of it (3.1, 3.13)', async (t) => {
  const { vms, hold, wait } = benchFor(t, () => Promise.resolve({ personalized: true } as Awaited<ReturnType<AgentClient['healthz']>>));
  hold();
  vms.move(ID, 'running', { runtime: { bootId: 'b', hasSshServer: false } });
  await assert.rejects(wait('ssh'), { code: 'GUEST_COMMAND_NOT_FOUND', remedy: 'banger vm exec web -- sh' });
  assert.equal((await wait('agent')).state, 'running');
});

test('a wait hears of what happens while it asks the guest, of a deletion, and of nothing after its end (3.1)', async (t) => {
  const { vms, services, hold, wait } = benchFor(t, () => {
    vms.move(ID, 'stopping');
    vms.move(ID, 'stopped');
    return Promise.resolve({ personalized: false } as Awaited<ReturnType<AgentClient['healthz']>>);
  });
  const looks = t.mock.method(services.vms.machines, 'find');
  hold();
  vms.move(ID, 'running');
  await assert.rejects(wait('agent'), { code: 'WRONG_STATE' });
  const gone = wait('running');
  await assert.rejects(gone, { code: 'WRONG_STATE' });
  vms.move(ID, 'starting');
  const deleted = wait('stopped');
  await turn();
  vms.remove(ID);
  await assert.rejects(deleted, { code: 'NOT_FOUND' });
  const calls = looks.mock.callCount();
  services.vms.machines.remove(ID);
  await turn();
  assert.equal(looks.mock.callCount(), calls);
});
