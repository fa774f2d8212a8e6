// A VM that is changed, measured, and stopped when nobody uses it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stats } from '../../src/api/schemas.ts';
import { createVm, eventually, guest, startBanger, useSandbox } from '../support/machine/e2e.ts';
import { PACE } from '../support/machine/pace.ts';
import { startOnTerminal } from '../support/user/pty.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Long enough for everything here that is not about it. */
const STALE_AFTER_S = 25 * PACE;
const sandbox = useSandbox({ config: `auto_stop_stale_after = "${STALE_AFTER_S}s"\n` });

const stats = async (): Promise<Stats> => JSON.parse(await sandbox().must(['vm', 'stats', '-o', 'json'])) as Stats;

test('a running VM refuses settings that its VMM reads only at its start, and accepts the others (3.7)', async () => {
  const vm = await createVm(sandbox(), 'web', '--vcpu', '1', '--memory', '512M', '--disk-size', '8G', '--system-overlay-size', '2G');
  await vm.sh('echo work >/root/marker; echo root >/etc/marker; sync');
  const refused = await sandbox().banger(['vm', 'set', 'web', '--vcpu', '2', '--disk-size', '9G', '--no-nat']);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /--vcpu, --disk-size need it stopped; nothing was changed/);
  assert.equal((await vm.show()).spec.nat, true);
  assert.match(await vm.sh('ip route; cat /etc/resolv.conf'), /default via [^]*nameserver/);

  await sandbox().must(['vm', 'set', 'web', '--no-nat']);
  assert.doesNotMatch(await vm.sh('cat /etc/resolv.conf'), /nameserver/);
  await sandbox().must(['vm', 'set', 'web', '--nat']);
  assert.match(await vm.sh('ip route; cat /etc/resolv.conf'), /default via [^]*nameserver/);
});

test('stats show the real usage of the VM (3.11)', async () => {
  const before = (await stats()).vms[0];
  await guest(sandbox(), 'web').sh('head -c 50000000 /dev/urandom >/root/ballast; sync');
  // Busy until it was seen: on a loaded host the guest gets less of a processor, and later. An idle one takes one or two per cent.
  const busy = startBanger(sandbox(), ['vm', 'exec', 'web', '--', 'sh', '-c', 'while [ ! -e /run/seen ]; do :; done']);
  const loaded = await eventually('load', stats, (seen) => (seen.vms[0]?.cpuPercent ?? 0) > 10, 60_000);
  await guest(sandbox(), 'web').sh('touch /run/seen');
  await busy.ended;
  const [vm] = loaded.vms;
  assert.ok(vm !== undefined && before !== undefined);
  assert.deepEqual([vm.state, vm.vcpuCount, vm.memoryBytes], ['running', 1, 512 * MIB]);
  assert.deepEqual(loaded.reserved, { vcpuCount: 1, memoryBytes: 512 * MIB });
  // One vCPU, and what the VMM does beside it.
  assert.ok((vm.cpuPercent ?? 0) < 200, `${vm.cpuPercent} %`);
  // The guest's memory, the translated code, and the program itself.
  assert.ok(vm.residentBytes !== null && vm.residentBytes > 100 * MIB && vm.residentBytes < GIB, `${vm.residentBytes} bytes`);
  const grownBytes = vm.workDisk.allocatedBytes - before.workDisk.allocatedBytes;
  assert.ok(grownBytes >= 45_000_000 && grownBytes < 100_000_000, `${grownBytes} bytes`);
  assert.equal(loaded.allocatedBytes, vm.workDisk.allocatedBytes + vm.rootOverlay.allocatedBytes);
});

test('stats are watched on a terminal until q (3.11)', async () => {
  const terminal = startOnTerminal(sandbox(), ['vm', 'stats', '--watch'], { columns: 100, rows: 24 });
  for (let frames = 0; frames < 3; frames++) await terminal.waitFor('processors used');
  terminal.write('q');
  const { exitCode, output } = await terminal.ended;
  assert.equal(exitCode, 0, output);
  assert.match(output, /\bweb +running\b/);
});

test('a stopped VM comes back with other processors, more memory and larger disks, and all that it had written (3.7, 5.3)', async () => {
  const vm = guest(sandbox(), 'web');
  await sandbox().must(['vm', 'stop', 'web']);
  const smaller = await sandbox().banger(['vm', 'set', 'web', '--vcpu', '2', '--disk-size', '4G']);
  assert.equal(smaller.status, 2);
  assert.match(smaller.stderr, /work disk of web has 8 GiB and cannot shrink to 4 GiB/);
  const flags = ['--vcpu', '2', '--memory', '768M', '--disk-size', '11G', '--system-overlay-size', '5G', '--name', 'shop'];
  assert.equal(await sandbox().must(['vm', 'set', 'web', ...flags]), 'shop\n');
  await sandbox().must(['vm', 'start', 'shop']);

  const shop = guest(sandbox(), 'shop');
  assert.equal(await shop.sh('cat /root/marker /etc/marker; hostname; nproc'), 'work\nroot\nshop\n2');
  const memoryKib = Number(await shop.sh("awk '/^MemTotal/ { print $2 }' /proc/meminfo"));
  assert.ok(memoryKib > 600 * 1024 && memoryKib <= 768 * 1024, `${memoryKib} KiB`);
  const [root, work] = (await shop.sh('df --output=size -B1 / /root')).split('\n').slice(1).map(Number);
  assert.ok(root !== undefined && root > 4.5 * GIB && root <= 5 * GIB, `/ has ${root} bytes`);
  assert.ok(work !== undefined && work > 10 * GIB && work <= 11 * GIB, `/root has ${work} bytes`);
  assert.equal(await shop.sh('sha256sum </root/ballast | wc -c; dmesg | grep -ci "ext4.*error" || true'), '68\n0');
  await assert.rejects(vm.show(), /there is no VM "web"/);
});

test('an unused VM is stopped, but not while a session is open in it (3.9)', async () => {
  const shop = guest(sandbox(), 'shop');
  const session = startBanger(sandbox(), ['vm', 'exec', 'shop', '--', 'sleep', '600']);
  await eventually('the session', shop.show, ({ lastUsedAt }) => Date.parse(lastUsedAt ?? '') > Date.now() - 5000);
  const begun = Date.now();
  await eventually(
    'the time to pass',
    () => Date.now(),
    (now) => now > begun + (STALE_AFTER_S + 8) * 1000,
    (STALE_AFTER_S + 30) * 1000,
  );
  assert.equal((await shop.show()).state, 'running');
  // Killed, so that nothing is said to the daemon.
  session.child.kill('SIGKILL');
  await session.ended;
  await eventually('the stop', shop.show, ({ state }) => state === 'stopped', (STALE_AFTER_S + 40) * 1000);
  assert.match(await sandbox().must(['vm', 'logs', '--events', 'shop']), /shop was not used for \w+ \(auto_stop_stale_after\)/);
  assert.match(await sandbox().must(['daemon', 'logs']), /shop was not used/);
});
