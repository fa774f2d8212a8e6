// `vm stats` against the whole daemon: simulated processes, real files.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import type { Stats } from '../../src/api/schemas.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor } from '../support/daemon/test-daemon.ts';

const MIB = 1024 ** 2;

test('stats show what each VM uses, and what running VMs have reserved of the host (3.11)', async (t) => {
  const { api, services } = await daemonFor(t);
  const web = await created(api, 'web', { vcpuCount: 3, memoryMib: 512 });
  await created(api, 'db', { vcpuCount: 2, memoryMib: 256 });
  await created(api, 'off', { start: false });
  writeFileSync(services.vms.pathsOf(web).workDisk, Buffer.alloc(4 * MIB, 1), { flag: 'r+' });
  const stats = await api.stats();
  assert.ok(stats.intervalMs >= 200, String(stats.intervalMs));
  assert.equal(
    stats.used.residentBytes,
    stats.vms.reduce((sum, vm) => sum + (vm.residentBytes ?? 0), 0),
  );
  assert.deepEqual(stats.reserved, { vcpuCount: 5, memoryBytes: 768 * MIB });
  assert.equal(stats.host.cpuCount, availableParallelism());
  assert.ok(stats.host.disk.totalBytes > stats.host.disk.freeBytes && stats.host.memoryBytes > 768 * MIB);
  const [first, , off] = stats.vms;
  // The simulated VMM keeps half a processor busy.
  assert.ok(first?.cpuPercent !== null && Math.abs((first?.cpuPercent ?? 0) - 50) < 15, String(first?.cpuPercent));
  assert.equal(first?.residentBytes, 64 * MIB);
  assert.ok(first.workDisk.allocatedBytes >= 4 * MIB && first.workDisk.allocatedBytes < first.workDisk.sizeBytes);
  assert.deepEqual([off?.name, off?.cpuPercent, off?.residentBytes], ['off', null, null]);
  // What a guest's files take is for the guest to say.
  assert.deepEqual([first.rootOverlay.usedBytes, first.workDisk.usedBytes], [300 * MIB, 20 * MIB]);
  assert.deepEqual([off?.rootOverlay.usedBytes, off?.workDisk.usedBytes], [null, null]);
  const all = stats.vms.flatMap((vm) => [vm.workDisk.allocatedBytes, vm.rootOverlay.allocatedBytes]);
  assert.equal(
    stats.allocatedBytes,
    all.reduce((a, b) => a + b),
  );
});

test('stats are measured on request, or since the last request if that is recent (3.11)', async (t) => {
  const { api, effects } = await daemonFor(t);
  await created(api, 'web');
  const samples = (): number => effects.seen.filter(({ name }) => name === 'host.processUsage').length;
  await api.stats();
  assert.equal(samples(), 2);
  const [one, two] = await Promise.all([api.stats(), api.stats()]);
  assert.ok(one.intervalMs >= 200 && two.intervalMs >= 200);
  assert.equal(samples(), 4);
});

test('stats show bars of the host and a row for each VM or each named one, and unknown names are reported (3.11, 3.4)', async (t) => {
  const { api, world } = await daemonFor(t);
  for (const name of ['web', 'db']) await created(api, name);
  const all = await runInProcess(world.env, ['vm', 'stats']);
  assert.equal(all.exitCode, 0);
  assert.match(
    all.stdout,
    /^CPU +[█▉▊▋▌▍▎▏▒░]+ +\d+% {2}1\.0 of \d+ processors used, 4 reserved\nMEMORY .* used, 2 GiB reserved\nDISK .* allocated, .* free\n\nNAME/,
  );
  assert.match(all.stdout, / ROOT USED +ROOT HELD +WORK USED +WORK HELD\n/);
  assert.match(all.stdout, /\nweb +running +2 +[\d.]+% +64 MiB \/ 1 GiB +300 MiB +[^/]+\/ \S+ GiB +20 MiB +[^/]+\/ \S+ GiB/);
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(all.stdout, /\u001b/);
  const some = await runInProcess(world.env, ['vm', 'stats', 'db', 'nosuch']);
  assert.equal(some.exitCode, 3);
  assert.match(some.stderr, /no VM "nosuch"/);
  assert.match(some.stdout, /\ndb /);
  assert.doesNotMatch(some.stdout, /\nweb /);
  const json = await runInProcess(world.env, ['vm', 'stats', 'db', '-o', 'json']);
  assert.deepEqual(
    (JSON.parse(json.stdout) as Stats).vms.map(({ name }) => name),
    ['db'],
  );
});

test('a watch of an unknown VM says so and does not begin (3.11)', async (t) => {
  const { world } = await daemonFor(t);
  const { exitCode, stdout, stderr } = await runInProcess(world.env, ['vm', 'stats', '--watch', 'nosuch']);
  assert.deepEqual([exitCode, stdout], [3, '']);
  assert.match(stderr, /no VM "nosuch"/);
});

test('a watch with -o json prints one line every second, and Ctrl-C ends it with status 0 (3.11)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  setTimeout(() => process.emit('SIGINT'), 2500);
  const { exitCode, stdout } = await runInProcess(world.env, ['vm', 'stats', 'web', '--watch', '-o', 'json']);
  assert.equal(exitCode, 0);
  const lines = stdout.trimEnd().split('\n');
  assert.ok(lines.length >= 2 && lines.length <= 4, String(lines.length));
  for (const line of lines) assert.equal((JSON.parse(line) as Stats).vms[0]?.name, 'web');
});
