// A system whose init is runit, from the distribution's own packages, as a real VM.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createVm, eventually, guest, hear, useSandbox } from '../support/machine/e2e.ts';
import { HELLO_PORT, HOLDS_BOOT, runitRoot, SEEN_AT_BOOT } from '../support/guest/runit-root.ts';

const sandbox = useSandbox();
const skip = existsSync('/usr/bin/mmdebstrap') ? false : 'mmdebstrap is not installed';
const machine = () => guest(sandbox(), 'run');
/** Under emulation, beside other work, a system takes its time. */
const LONG_MS = 120_000;

async function initState(): Promise<string> {
  return (JSON.parse(await sandbox().must(['vm', 'health', 'run', '-o', 'json'])) as { init: string }).init;
}

const consoleLog = () => sandbox().must(['vm', 'logs', 'run']);
/** Each end that the guest came to by itself: a VMM that is killed leaves no such line. */
const ENDS = /reboot: (Power down|Restarting system)/g;
const ends = async () => ((await consoleLog()).match(ENDS) ?? []).length;

async function servicesRun(): Promise<void> {
  const listening = async () =>
    (JSON.parse(await sandbox().must(['vm', 'ports', 'run', '-o', 'json'])) as { port: number }[]).map(({ port }) => port);
  await eventually('the services', listening, (ports) => [22, HELLO_PORT].every((port) => ports.includes(port)), LONG_MS);
}

test('a root file system with runit is recognised (8.7, 8.8)', { skip }, async () => {
  const path = join(sandbox().directory, 'root.tar');
  copyFileSync(await runitRoot(), path);
  chmodSync(path, 0o644);
  await sandbox().must(['image', 'import', '--name', 'runit', path]);
  rmSync(path);
  const image = JSON.parse(await sandbox().must(['image', 'show', 'runit', '-o', 'json'])) as Record<string, unknown>;
  assert.deepEqual([image['initSystem'], image['entrypoint']], ['runit', null]);
  assert.match(String(image['distribution']), /^debian \d+$/);
});

test('it has name, resolver, keys, work disk and address before the first stage (7.3, 8.7)', { skip }, async () => {
  const vm = await createVm(sandbox(), 'run', '--image', 'runit');
  const { guestAddress } = await vm.show();
  const seen = await eventually(
    'the first stage',
    () => vm.sh(`cat ${SEEN_AT_BOOT} || true`),
    (text) => text.includes('/root ext4'),
    LONG_MS,
  );
  assert.match(seen, /^run\n[^]*^nameserver 169\.254\.213\.53$[^]*^ssh-ed25519 /m);
  for (const part of [`${guestAddress} run.vm run\n`, `inet ${guestAddress}/16 `, '/dev/vdb /root ext4 rw'])
    assert.ok(seen.includes(part), seen);
  assert.equal(await vm.sh('cat /proc/1/comm; hostname; pwd'), 'runit\nrun\n/root');
});

test('its services run, their ports are reached, and ssh logs in by key (7.2, 3.12, 6.1)', { skip }, async () => {
  await servicesRun();
  assert.equal(await initState(), 'running');
  assert.match(await machine().sh('sv status /etc/service/*'), /^run: \/etc\/service\/hello: [^]*^run: \/etc\/service\/ssh: /m);
  const { address } = await machine().show();
  const heard = () => hear(sandbox(), address, HELLO_PORT);
  await eventually('the answer', heard, (text) => text === 'hello');
  const ssh = await sandbox().banger(['vm', 'ssh', 'run', '--', 'hostname; exit 5']);
  assert.deepEqual([ssh.status, ssh.stdout.trim()], [5, 'run'], ssh.stderr);
});

test('a stop goes through its third stage, and both disks are kept (3.5, 3.6)', { skip }, async () => {
  await machine().sh(`echo kept > /root/file; echo kept > /var/file; touch ${HOLDS_BOOT}`);
  await sandbox().must(['vm', 'stop', 'run', '--grace', '5m']);
  await sandbox().must(['vm', 'start', 'run']);
  assert.equal(await machine().sh('cat /root/file /var/file'), 'kept\nkept');
  assert.match(await consoleLog(), /leave stage: \/etc\/runit\/3/);
  assert.equal(await ends(), 1);
});

test('it stops in the first stage too, in which runit does not listen (3.5)', { skip }, async () => {
  await eventually('the first stage', initState, (state) => state === 'starting', LONG_MS);
  await machine().sh('echo late > /root/late');
  await sandbox().must(['vm', 'stop', 'run', '--grace', '5m']);
  assert.equal(await ends(), 2);
});

test('its services come when the boot is let go, and it powers off from within (3.5, 7.2)', { skip }, async () => {
  await sandbox().must(['vm', 'start', 'run']);
  assert.equal(await machine().sh(`cat /root/late; rm ${HOLDS_BOOT}`), 'late');
  await servicesRun();
  await sandbox().banger(['vm', 'exec', 'run', '--', 'sh', '-c', '(sleep 1; init 0) > /dev/null 2>&1 &']);
  const state = async () => (await machine().show()).state;
  await eventually('the end', state, (seen) => seen === 'stopped', LONG_MS);
  await sandbox().must(['vm', 'delete', 'run']);
  await sandbox().must(['image', 'delete', 'runit']);
});
