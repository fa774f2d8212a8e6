// The whole path once, in the order in which somebody meets it. `make verify` runs this file alone.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createVm, daemonStatus, eventually, guest, hear, startBanger, useSandbox } from '../support/machine/e2e.ts';

const sandbox = useSandbox();

/** Greets whoever connects: nothing but systemd's own tools is needed in the guest. */
const SERVE = 'setsid systemd-socket-activate --listen=0.0.0.0:8000 --accept --inetd echo "greetings from inside" >/dev/null 2>&1 &';

test('vm create shows stages with their times while they end, and returns a VM that is ready (3.3, 9.6)', async () => {
  const create = startBanger(sandbox(), ['vm', 'create', '--name', 'web', '--progress', 'plain']);
  assert.deepEqual(await create.ended, { status: 0, signal: null }, create.stderr());
  console.log(create.stderr());
  assert.equal(create.stdout(), 'web\n');
  const stages = [...create.stderr().matchAll(/^✓ (.+?) {2}[\d.]+ ?m?s$/gm)].map(([, title]) => title);
  assert.deepEqual(stages, [
    ...['directories', 'root overlay', 'work disk', 'SSH host key', 'runtime directory', 'root disk', 'network', 'boot', 'agent'],
    ...['DNS name', 'port forwards', 'ready'],
  ]);
  assert.match(create.stderr(), /^running as web\.vm \(127\.213\.\d+\.\d+\) after .*; use it: banger vm ssh web$/m);
  // Lines of stages that are over come while the guest still boots.
  const early = create.stderrChunks.findIndex((text) => text.includes('boot'));
  const late = create.stderrChunks.findIndex((text) => text.includes('agent'));
  assert.ok(early >= 0 && early < late, JSON.stringify(create.stderrChunks));
});

test('vm exec runs a command without SSH (3.13)', async () => {
  assert.equal(await guest(sandbox(), 'web').sh('hostname; id -un; pwd'), 'web\nroot\n/root');
});

test('vm ssh logs in by key, knows the host key already, and hands the status back (6.4)', async () => {
  const ssh = await sandbox().banger(['vm', 'ssh', 'web', '--', 'echo $SSH_CONNECTION; hostname; exit 7']);
  assert.equal(ssh.status, 7, ssh.stderr);
  assert.match(ssh.stdout, /\nweb\n$/);
  assert.equal(ssh.stderr, '');
});

test('vm cp copies files and directories both ways and keeps modes (3.13)', async () => {
  const [there, back] = [join(sandbox().directory, 'home/tree'), join(sandbox().directory, 'home/back')];
  mkdirSync(join(there, 'deep'), { recursive: true });
  writeFileSync(join(there, 'deep/run.sh'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
  await sandbox().must(['vm', 'cp', there, 'web:/srv/tree']);
  assert.equal(await guest(sandbox(), 'web').sh('/srv/tree/deep/run.sh'), 'ran');
  await sandbox().must(['vm', 'cp', 'web:/srv/tree', back]);
  assert.equal(readFileSync(join(back, 'deep/run.sh'), 'utf8'), '#!/bin/sh\necho ran\n');
});

test('vm ports lists what listens, and it is reached from the host (3.12)', async () => {
  const web = guest(sandbox(), 'web');
  await web.sh(SERVE);
  const { address } = await web.show();
  const row = new RegExp(`^tcp +${address}:8000 +systemd-socket-\\(\\d+\\) +systemd-socket-activate`, 'm');
  await eventually(
    'the listener',
    () => sandbox().must(['vm', 'ports', 'web']),
    (table) => row.test(table),
  );
  assert.equal(
    await eventually(
      'the forward',
      () => hear(sandbox(), address, 8000),
      (heard) => heard !== '',
    ),
    'greetings from inside',
  );
});

test('the name server answers with the address of the VM (6.3)', async () => {
  const { address } = await guest(sandbox(), 'web').show();
  const { dns } = await daemonStatus(sandbox());
  assert.equal(dns.listening, true);
  assert.equal(dig(dns.address, 'web.vm'), address);
  assert.equal(dig(dns.address, '-x', address), 'web.vm.');
  assert.match(dig(dns.address, 'nobody.vm', '+noall', '+comments'), /NXDOMAIN/);
});

test('vm logs prints the console, the VMM and what banger did (3.13)', async () => {
  await guest(sandbox(), 'web').sh('echo seen on the console >/dev/console');
  await eventually(
    'the line',
    () => sandbox().must(['vm', 'logs', 'web']),
    (log) => log.includes('seen on the console'),
  );
  assert.match(await sandbox().must(['vm', 'logs', '--events', 'web']), /boot/);
  await sandbox().must(['vm', 'logs', '--vmm', 'web']);
});

test('a stopped VM is gone from the network, and starts again from its own disks (3.5, 3.6, 6.3)', async () => {
  const web = guest(sandbox(), 'web');
  const { address } = await web.show();
  const { dns } = await daemonStatus(sandbox());
  await web.sh('echo kept >/root/note && sync');
  assert.equal(await sandbox().must(['vm', 'stop', 'web']), 'web\n');
  assert.equal((await web.show()).state, 'stopped');
  assert.equal(await hear(sandbox(), address, 8000), '');
  assert.match(dig(dns.address, 'web.vm', '+noall', '+comments'), /NXDOMAIN/);
  const start = await sandbox().banger(['vm', 'start', 'web', '--progress', 'plain']);
  console.log(start.stderr);
  assert.equal(start.status, 0, start.stderr);
  assert.equal(await web.sh('cat /root/note'), 'kept');
  assert.equal(dig(dns.address, 'web.vm'), address);
});

test('vm delete leaves nothing (3.5, 9.5)', async () => {
  assert.equal(await sandbox().must(['vm', 'delete', '--force', 'web']), 'web\n');
  assert.equal(await sandbox().must(['vm', 'list', '-q']), '');
  const again = await createVm(sandbox(), 'web');
  assert.equal(await again.sh('ls /root/note /srv/tree 2>&1 | grep -c "No such file"'), '2');
});

/** @param server ADDRESS:PORT */
function dig(server: string, ...question: string[]): string {
  const [host = '', port = ''] = server.split(':');
  const style = question.includes('+noall') ? [] : ['+short'];
  return execFileSync('dig', [`@${host}`, '-p', port, '+time=3', '+tries=1', ...style, ...question], { encoding: 'utf8' }).trim();
}
