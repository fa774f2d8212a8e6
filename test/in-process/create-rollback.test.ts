// What can go wrong while a creation is rolled back; what starts the rollback is in test/faults/.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BangerError } from '../../src/model/errors.ts';
import { daemonFor, ended, type TestDaemon } from '../support/daemon/test-daemon.ts';

async function createOnce(daemon: TestDaemon): Promise<Awaited<ReturnType<typeof ended>>> {
  const operation = await daemon.api.createVm({ name: 'web' }, false);
  const end = await ended(daemon.api, operation);
  daemon.effects.hook = () => undefined;
  return end;
}

test('a rollback with a failure continues, reports it with the first error, and leaves a VM that can be deleted (3.3, 3.5)', async (t) => {
  const daemon = await daemonFor(t);
  // Each is what one undo needs; the rest of the rollback must not depend on it.
  const undoing = [
    'network.detach',
    'root.detach',
    'root.remove',
    'work.remove',
    'host.removeTree',
    'machine.terminate',
    'hypervisor.cleanUp',
  ];
  for (const broken of undoing) {
    let isFailing = false;
    daemon.effects.hook = ({ name }, phase) => {
      if (phase !== 'before') return;
      if (name === 'machine.openAgentChannel') isFailing = true;
      if (name === 'machine.openAgentChannel') throw new BangerError('AGENT_PROTOCOL', 'the first failure');
      if (isFailing && name === broken) throw new BangerError('INTERNAL', `${name} is broken`);
    };
    const { state, error, vmId } = await createOnce(daemon);
    assert.equal(state, 'failed');
    assert.match(error?.message ?? '', /the first failure/);
    assert.match((error?.undo ?? []).join('; '), new RegExp(`undoing ".+" failed: ${broken} is broken`));
    const vm = await daemon.api.showVm('web');
    assert.deepEqual([vm.id, vm.state], [vmId, 'deleting']);
    assert.match(vm.lastError ?? '', /could not be undone/);
    assert.equal((await ended(daemon.api, await daemon.api.beginVm('web', 'delete'))).state, 'done');
    assert.deepEqual(daemon.world.remains(), [], broken);
  }
});

test('the cause of a rollback does not cancel it (1.4)', async (t) => {
  const daemon = await daemonFor(t);
  daemon.effects.hook = ({ name }) => {
    if (!/^(machine|network|storage)\./.test(name)) return;
    const running = daemon.services.operations.list().find(({ state }) => state === 'running');
    // Once to cause it, then again and again while it goes on.
    daemon.services.operations.cancel(running?.id ?? '');
  };
  const operation = await createOnce(daemon);
  assert.equal(operation.state, 'cancelled');
  assert.equal(operation.error?.undo, undefined);
  assert.deepEqual(daemon.world.remains(), []);
});
