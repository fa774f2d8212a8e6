// A VM boots from its own disks whatever its owner did to them: what a guest could not set up is told, and a rescue has the disks beside it.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon } from '../support/daemon/test-daemon.ts';

const troubles = [
  { what: '/etc/resolv.conf', errno: 1, held: 'memory' },
  { what: 'the disk /dev/vdb at /root', errno: 117, held: 'read-only' },
  { what: '/etc/machine-id', errno: 28, held: null },
];

test('a guest that could not set up everything runs, and start, show, list, health and doctor say what failed and what to do (11.9)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  await done(api, api.beginVm('web', 'stop'));
  world.machines.troubles.set('web', { troubles });
  const started = await runInProcess(world.env, ['vm', 'start', 'web']);
  assert.equal(started.exitCode, 0, started.stderr);
  assert.match(started.stderr, /\/etc\/resolv.conf: it is immutable.*held in memory until the VM stops.*chattr -ia \/etc\/resolv.conf/);
  assert.match(started.stderr, /the disk \/dev\/vdb at \/root: its file system is damaged; it is mounted read-only.*restart --rescue web/);
  const vm = await api.showVm('web');
  assert.deepEqual([vm.state, vm.lastError, vm.troubles.length], ['running', null, 3]);
  assert.match(
    (await runInProcess(world.env, ['vm', 'show', 'web'])).stdout,
    /^trouble: +\/etc\/machine-id: its file system is full \(try: free/m,
  );
  assert.match((await runInProcess(world.env, ['vm', 'list'])).stdout, /web +running \(!\)/);
  assert.match((await api.health('web')).problem ?? '', /resolv.conf.*\/root.*machine-id/);
  const found = (await api.doctor()).findings.filter((finding) => finding.vm === 'web' && finding.name === 'guest');
  assert.deepEqual(
    found.map(({ level }) => level),
    ['warn', 'warn', 'warn'],
  );
  assert.equal(found[1]?.remedy, 'banger vm restart --rescue web');
  world.machines.troubles.delete('web');
  await done(api, api.beginVm('web', 'restart'));
  assert.deepEqual((await api.showVm('web')).troubles, []);
});

test('a remedy repairs what can be repaired from inside, and names the rescue for the rest (11.9)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web', { start: false });
  const remedies: [string, number, RegExp][] = [
    ['root in /etc/passwd', 2, /vm exec web -- sh -c 'echo root:x:0:0:root:\/root:\/bin\/sh >>\/etc\/passwd'$/],
    ['the shell of root, /usr/sbin/nologin', 13, /vm exec web -- usermod --shell \/bin\/sh root$/],
    ['/dev/vdz in /etc/fstab', 19, /nofail: banger vm exec web -- cat \/etc\/fstab$/],
    ['/etc/hosts', 28, /vm exec web -- df --output=target,avail,iavail/],
    ['the directory /', 13, /vm exec web -- sh -c 'chown root:root \/ && chmod 755 \/'$/],
    ['all of /etc', 2, /vm restart --rescue web$/],
    ['a directory for /etc', 20, /vm restart --rescue web$/],
    ['the root file system', 117, /vm restart --rescue web$/],
  ];
  world.machines.troubles.set('web', { troubles: remedies.map(([what, errno]) => ({ what, errno, held: null })) });
  await done(api, api.beginVm('web', 'start'));
  const told = (await api.showVm('web')).troubles;
  for (const [i, [, , remedy]] of remedies.entries()) assert.match(told[i]?.remedy ?? '', remedy);
  assert.equal(told[4]?.reason, 'the directory /: users other than root may change it, which sshd refuses');
});

test('nobody waits for a system that has given up, and health says so (11.9, 3.3)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  fakeOf(world, 'web').guest.init = 'maintenance';
  const waited = await runInProcess(world.env, ['vm', 'wait', 'web']);
  assert.equal(waited.exitCode, 1);
  assert.match(waited.stderr, /gave up, and waits in its rescue or emergency mode\n.*vm exec web -- journalctl -b/);
  assert.equal((await runInProcess(world.env, ['vm', 'wait', '--for', 'ssh', 'web'])).exitCode, 0);
  const { agent, init, problem } = await api.health('web');
  assert.deepEqual([agent, init], ['ok', 'maintenance']);
  assert.match(problem ?? '', /gave up/);
});

test('a VM that ends because of its own disks says why and names the rescue (11.9)', async (t) => {
  const { api, world, services } = await daemonFor(t);
  const vm = await created(api, 'web', { start: false });
  const say = (line: string): void => {
    mkdirSync(dirname(services.vms.pathsOf(vm).serialLog), { recursive: true });
    writeFileSync(services.vms.pathsOf(vm).serialLog, `[ 9.1] EXT4-fs (vda): mount failed\n${line}\n[ 14.3] reboot: Restarting system\n`);
  };
  world.machines.inject('web', 'die-after-start');
  for (const [line, reason] of [
    ['banger-init: /dev/vda: there is no ext4 file system', 'there is no ext4 file system on its root disk'],
    ['banger-init: /dev/vda: its file system is damaged', 'the file system of its root disk is damaged'],
    ['banger-init: /dev/vda: I/O error', 'its root disk cannot be mounted'],
    ['Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100', 'its init ended'],
  ] as const) {
    say(line);
    const { error } = await ended(api, await api.beginVm('web', 'start'));
    assert.deepEqual([error?.message, error?.remedy], [`web did not boot: ${reason}`, 'banger vm start --rescue web']);
  }
});

test('if a guest does not answer at all, its disks or the host may be the cause; for a new VM, only the host (11.9)', async (t) => {
  const { api, world } = await daemonFor(t, { env: { BANGER_BOOT_TIMEOUT_SECONDS: '5' } });
  await created(api, 'web', { start: false });
  for (const name of ['web', 'new']) world.machines.inject(name, 'never-answer-agent');
  const begun = [await api.beginVm('web', 'start'), await api.createVm({ name: 'new' }, false)] as const;
  const [started, made] = await Promise.all([ended(api, begun[0]), ended(api, begun[1])]);
  assert.match(started.error?.message ?? '', /the guest agent of web did not answer within 5 s/);
  assert.match(started.error?.remedy ?? '', /^banger doctor; if it finds nothing, .*: banger vm start --rescue web$/);
  assert.equal(made.error?.remedy, 'banger doctor');
});

test("a guest's report of troubles is limited and harmless, and a guest that reports nonsense does not start (11.9, 7.2)", async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web', { start: false });
  world.machines.troubles.set('web', { troubles: [{ what: '\u001b[2Jx\u202e', errno: 1234, held: null }] });
  await done(api, api.beginVm('web', 'start'));
  assert.deepEqual((await api.showVm('web')).troubles, [
    { reason: '?[2Jx?: Unknown system error -1234', remedy: 'banger vm restart --rescue web' },
  ]);
  await done(api, api.beginVm('web', 'stop'));
  for (const answer of [
    { troubles: Array.from({ length: 33 }, () => troubles[0]) },
    { troubles: [{ ...troubles[0], what: 'x'.repeat(201) }] },
    { troubles: [{ ...troubles[0], errno: 0 }] },
    { troubles: [{ ...troubles[0], held: 'surely' }] },
    [],
  ]) {
    world.machines.troubles.set('web', answer);
    const end = await ended(api, await api.beginVm('web', 'start'));
    assert.match(end.error?.message ?? '', /reply of the wrong shape/);
  }
});

test('missing services do not prevent the start of a VM that was used before (11.9)', async (t) => {
  const { api, world, services } = await daemonFor(t);
  services.settings.degradedWaitMs = 0;
  await created(api, 'web', { start: false });
  world.machines.inject('web', 'no-services');
  await done(api, api.beginVm('web', 'start'));
  const { state, troubles: told } = await api.showVm('web');
  assert.equal(state, 'running');
  assert.deepEqual(told, [{ reason: 'nothing listens on guest port 22 of web', remedy: 'banger vm exec web -- systemctl --failed' }]);
});

test("a guest with a full disk starts without the host's authorities, and says so (11.9)", async (t) => {
  const { api, world } = await daemonFor(t, { env: { BANGER_TRUST_HTTPS_PROXY: 'http://proxy.example:3128' } });
  await created(api, 'web', { start: false, hostProxy: true });
  world.machines.inject('web', 'full-guest');
  await done(api, api.beginVm('web', 'start'));
  assert.match((await api.showVm('web')).troubles[0]?.reason ?? '', /host's trust: .*No space left/);
});

test("a rescue boots the image read-only beside the VM's disks, which stay unmounted, and the next start is an ordinary one (11.9)", async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web', { start: false });
  world.machines.troubles.set('web', { troubles: [{ what: '/etc/hostname', errno: 30, held: null }, troubles[1]] });
  const started = await runInProcess(world.env, ['vm', 'start', '--rescue', 'web']);
  assert.equal(started.exitCode, 0, started.stderr);
  assert.match(started.stderr, /\/dev\/vdb \(root\) and \/dev\/vdc.*\n.*e2fsck -f -y \/dev\/vdb/);
  const { spec, guest } = fakeOf(world, 'web');
  assert.deepEqual(
    spec.disks.map(({ path, readOnly }) => [path === world.image.rootfsPath, readOnly]),
    [
      [true, true],
      [false, false],
      [false, false],
    ],
  );
  assert.deepEqual(spec.kernelArguments.slice(-2), ['banger.init=none', 'banger.rescue=1']);
  assert.deepEqual([guest.personalization?.['mounts'], guest.personalization?.['growRoot']], [[], false]);
  assert.equal(guest.personalization?.['hostname'], 'web');
  const vm = await api.showVm('web');
  assert.deepEqual([vm.rescue, vm.troubles.length], [true, 1], 'that its root is read-only is no trouble');
  assert.match((await runInProcess(world.env, ['vm', 'list'])).stdout, /web +running \(rescue\)/);
  assert.match((await runInProcess(world.env, ['vm', 'show', 'web'])).stdout, /^state: +running \(rescue\)$/m);
  world.machines.troubles.delete('web');
  await done(api, api.beginVm('web', 'restart'));
  assert.equal((await api.showVm('web')).rescue, false);
  assert.deepEqual(fakeOf(world, 'web').guest.personalization?.['mounts'], [{ device: '/dev/vdb', path: '/root', type: 'ext4' }]);
  const refused = await runInProcess(world.env, ['vm', 'start', '--rescue', 'web']);
  assert.match(refused.stderr, /runs its own system[\s\S]*banger vm restart --rescue web/);
  await done(api, api.beginVm('web', 'restart', { rescue: true }));
  assert.equal((await api.showVm('web')).rescue, true);
});

test('for an image without an init, the rescue runs the default image, which has a shell (11.9)', async (t) => {
  const { api, world, services } = await daemonFor(t);
  services.images.records.save({
    ...world.image,
    id: 'f'.repeat(32),
    name: 'tiny',
    initSystem: 'none',
    entrypoint: ['/serve'],
    servicePorts: [],
  });
  await created(api, 'web', { start: false, image: 'tiny' });
  services.images.records.save({
    ...world.image,
    id: 'f'.repeat(32),
    name: 'tiny',
    initSystem: 'none',
    rootfsPath: world.image.kernelPath,
  });
  await done(api, api.beginVm('web', 'start', { rescue: true }));
  const { spec, guest } = fakeOf(world, 'web');
  assert.equal(spec.disks[0]?.path, world.image.rootfsPath);
  assert.equal(guest.personalization?.['service'], undefined);
});

test('the next daemon knows that a VM runs as a rescue, and its troubles (11.9, 3.8)', async (t) => {
  const { api, world, kill } = await daemonFor(t);
  await created(api, 'web', { start: false });
  world.machines.troubles.set('web', { troubles: [troubles[1]] });
  await done(api, api.beginVm('web', 'start', { rescue: true }));
  await kill();
  const next = await startDaemon(world);
  t.after(() => next.stop());
  const { api: later } = next;
  const vm = await later.showVm('web');
  assert.deepEqual([vm.state, vm.rescue, vm.troubles.length], ['running', true, 1]);
});
