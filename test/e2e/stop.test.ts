// Every way in which a VM ends.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { createVm, eventually, guest, isAlive, killProcesses, useSandbox, vmmPid } from '../support/machine/e2e.ts';

const sandbox = useSandbox();
const vm = () => guest(sandbox(), 'web');

test('a guest that powers off by itself is a stopped VM (3.8)', async () => {
  await createVm(sandbox(), 'web');
  await sandbox().must(['vm', 'wait', 'web']);
  await sandbox().banger(['vm', 'exec', 'web', '--', 'systemctl', 'poweroff', '--no-block']);
  const { lastError, pid } = await eventually('the end', vm().show, ({ state }) => state === 'stopped');
  assert.deepEqual([lastError, pid], [null, null]);
});

test('a guest that reboots runs again, with the same address and disks (3.6, 3.8)', async () => {
  await sandbox().must(['vm', 'start', 'web']);
  await sandbox().must(['vm', 'wait', 'web']);
  const before = await vm().show();
  const bootId = await vm().sh('touch /root/before; cat /proc/sys/kernel/random/boot_id');
  await sandbox().banger(['vm', 'exec', 'web', '--', 'systemctl', 'reboot', '--no-block']);
  const after = await eventually('the next run', vm().show, ({ state, pid }) => state === 'running' && pid !== before.pid);
  assert.equal(after.address, before.address);
  assert.notEqual(await vm().sh('ls /root/before >/dev/null && cat /proc/sys/kernel/random/boot_id'), bootId);
});

test('a VM that is stopped as soon as its agent answers powers off by itself, whatever its init has come to (3.5)', async (t) => {
  t.after(() => sandbox().banger(['vm', 'delete', '--force', 'early']));
  // Its init is at another place each time.
  for (const wait of ['agent', 'agent', 'agent', 'services']) {
    const early = await createVm(sandbox(), 'early', '--wait', wait);
    // By force it would take longer than this command may.
    await sandbox().must(['vm', 'stop', 'early', '--grace', '30m'], { timeoutMs: 300_000 });
    assert.match(await sandbox().must(['vm', 'logs', 'early']), /reboot: (Power down|Restarting system)/);
    assert.equal((await early.show()).lastError, null);
    await sandbox().must(['vm', 'delete', 'early']);
  }
});

test('a VM whose VMM is killed is stopped, says why, and starts again (3.8)', async () => {
  await killProcesses([await vmmPid(vm())]);
  const { lastError } = await eventually('the end', vm().show, ({ state }) => state === 'stopped');
  assert.match(lastError ?? '', /ended unexpectedly: .*SIGKILL/);
  assert.match(await sandbox().must(['vm', 'show', 'web']), /^error: +the VM ended unexpectedly/m);
  await sandbox().must(['vm', 'start', 'web']);
  assert.equal(await vm().sh('hostname'), 'web');
  assert.equal((await vm().show()).lastError, null);
});

test('a guest that agrees to power off and does not is ended by force (3.5)', async () => {
  await sandbox().must(['vm', 'wait', 'web']);
  const pid = await vmmPid(vm());
  await vm().sh('systemctl mask --runtime --quiet poweroff.target halt.target shutdown.target');
  await sandbox().must(['vm', 'stop', 'web', '--grace', '2s']);
  assert.deepEqual([(await vm().show()).state, await isAlive(pid)], ['stopped', false]);
});

test('a guest whose agent is frozen and that ignores its power button is ended by force (3.5)', async () => {
  await sandbox().must(['vm', 'start', 'web']);
  await sandbox().must(['vm', 'wait', 'web']);
  const pid = await vmmPid(vm());
  // The agent cannot tell that it is frozen, so the console does.
  const freeze = 'sleep 1; pkill -STOP -f ^.banger-agent; echo all frozen >/dev/console';
  await vm().sh(`systemctl mask --runtime --quiet poweroff.target; setsid sh -c '${freeze}' >/dev/null 2>&1 &`);
  await eventually(
    'the silence',
    () => sandbox().must(['vm', 'logs', 'web']),
    (log) => log.includes('all frozen'),
  );
  await sandbox().must(['vm', 'stop', 'web', '--grace', '2s']);
  assert.deepEqual([(await vm().show()).state, await isAlive(pid)], ['stopped', false]);
});

test('a VMM that is frozen is killed (3.5)', async () => {
  await sandbox().must(['vm', 'start', 'web']);
  const pid = await vmmPid(vm());
  process.kill(pid, 'SIGSTOP');
  await sandbox().must(['vm', 'stop', 'web', '--grace', '1s']);
  assert.deepEqual([(await vm().show()).state, await isAlive(pid)], ['stopped', false]);
});

test('vm kill ends a VM at once, and stop of a stopped one is no error (3.5)', async () => {
  await sandbox().must(['vm', 'start', 'web']);
  const pid = await vmmPid(vm());
  await sandbox().must(['vm', 'kill', 'web']);
  assert.deepEqual([(await vm().show()).state, await isAlive(pid)], ['stopped', false]);
  assert.equal(await sandbox().must(['vm', 'stop', 'web']), 'web\n');
});

test('a running VM is deleted, and so is one without disks (3.5)', async () => {
  await sandbox().must(['vm', 'start', 'web']);
  const [pid, other] = [await vmmPid(vm()), await createVm(sandbox(), 'bare', '--no-start')];
  rmSync((await other.show()).paths.directory, { recursive: true });
  await sandbox().must(['vm', 'delete', 'web', 'bare']);
  assert.deepEqual([await sandbox().must(['vm', 'list', '-q']), await isAlive(pid)], ['', false]);
});
