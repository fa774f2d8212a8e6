// `vm set` against the whole daemon: all of a request or nothing of it.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { VmView } from '../../src/api/schemas.ts';
import { BangerError } from '../../src/model/errors.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { createTestWorld } from '../support/daemon/test-world.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const SIZES = { workDiskBytes: 128 * MIB, rootOverlayBytes: 256 * MIB };

const set = ({ api }: TestDaemon, name: string, body: Record<string, unknown>) => done(api, api.beginVm(name, 'set', body));
const diskLength = ({ services }: TestDaemon, vm: VmView, disk: 'workDisk' | 'rootOverlay'): number =>
  statSync(services.vms.pathsOf(vm)[disk]).size;

describe('a stopped VM', () => {
  test('gets other processors, memory and larger disks, and starts with them (3.7, 5.3)', async (t) => {
    const daemon = await daemonFor(t);
    const vm = await created(daemon.api, 'web', { ...SIZES, start: false });
    await set(daemon, 'web', { vcpuCount: 3, memoryMib: 300, workDiskBytes: GIB, rootOverlayBytes: 2 * GIB, nat: false });
    const expected = { vcpuCount: 3, memoryMib: 300, workDiskBytes: GIB, rootOverlayBytes: 2 * GIB, nat: false };
    assert.deepEqual((await daemon.api.showVm('web')).spec, expected);
    assert.deepEqual([diskLength(daemon, vm, 'workDisk'), diskLength(daemon, vm, 'rootOverlay')], [GIB, 2 * GIB]);
    await done(daemon.api, daemon.api.beginVm('web', 'start'));
    const { spec, guest } = fakeOf(daemon.world, 'web');
    assert.deepEqual([spec.vcpuCount, spec.memoryMib], [3, 300]);
    assert.deepEqual(guest.personalization?.['network'], { ...(guest.personalization?.['network'] as object), gateway: null });
  });

  test('keeps everything when one value of several is bad (3.7)', async (t) => {
    const daemon = await daemonFor(t);
    const { api } = daemon;
    const vm = await created(api, 'web', { ...SIZES, start: false });
    await created(api, 'db', { start: false });
    const before = await api.showVm('web');
    const operations = (await api.listOperations()).length;
    const bad: [Record<string, unknown>, string, RegExp][] = [
      [{ vcpuCount: 4, workDiskBytes: 64 * MIB }, 'INVALID_INPUT', /has 128 MiB and cannot shrink to 64 MiB/],
      [{ vcpuCount: 4, rootOverlayBytes: 64 * MIB }, 'INVALID_INPUT', /root file system of web has 256 MiB/],
      [{ vcpuCount: 4, memoryMib: 1_048_576 }, 'INVALID_INPUT', /does not fit into this host/],
      [{ workDiskBytes: GIB, name: 'db' }, 'NAME_TAKEN', /already a VM named db/],
      [{ workDiskBytes: GIB, name: 'A_b' }, 'INVALID_INPUT', /name/],
      [{ workDiskBytes: GIB, vcpuCount: 33 }, 'INVALID_INPUT', /vcpuCount must be a whole number from 1 to 32/],
      [{ workDiskBytes: GIB + 1 }, 'INVALID_INPUT', /workDiskBytes must be a multiple of 1048576/],
      [{ disk: 5 }, 'INVALID_INPUT', /no member "disk"/],
      [{}, 'INVALID_INPUT', /must have at least one member/],
    ];
    for (const [body, code, message] of bad) {
      await assert.rejects(api.beginVm('web', 'set', body), (error: BangerError) => {
        assert.equal(error.code, code, JSON.stringify(body));
        assert.match(error.message, message);
        return true;
      });
    }
    assert.deepEqual(await api.showVm('web'), before);
    assert.equal(diskLength(daemon, vm, 'workDisk'), 128 * MIB);
    assert.equal((await api.listOperations()).length, operations);
  });

  test('keeps its old sizes when a growth fails, and grows on the next request (3.7, 5.3)', async (t) => {
    const daemon = await daemonFor(t);
    const vm = await created(daemon.api, 'web', { ...SIZES, start: false });
    const body = { workDiskBytes: GIB, rootOverlayBytes: GIB, vcpuCount: 4 };
    daemon.effects.hook = ({ name }) => {
      if (name === 'root.grow') throw new BangerError('STORAGE_FAILED', 'no space is left');
    };
    const { state, error, events } = await ended(daemon.api, await daemon.api.beginVm('web', 'set', body));
    assert.deepEqual([state, error?.code, error?.undo], ['failed', 'STORAGE_FAILED', undefined]);
    assert.ok(events.some((event) => event.type === 'stage' && event.stage === 'work-disk' && event.status === 'undone'));
    assert.deepEqual((await daemon.api.showVm('web')).spec, vm.spec);
    assert.equal(diskLength(daemon, vm, 'workDisk'), 128 * MIB);
    daemon.effects.hook = () => undefined;
    await set(daemon, 'web', body);
    assert.equal(diskLength(daemon, vm, 'workDisk'), GIB);
  });

  test('keeps a disk that is larger than recorded when a growth fails (3.7, 5.3)', async (t) => {
    const daemon = await daemonFor(t);
    const vm = await created(daemon.api, 'web', { ...SIZES, start: false });
    await daemon.world.host.extendSparse(daemon.services.vms.pathsOf(vm).workDisk, GIB);
    daemon.effects.hook = ({ name }) => {
      if (name === 'root.grow') throw new BangerError('STORAGE_FAILED', 'no space is left');
    };
    await ended(daemon.api, await daemon.api.beginVm('web', 'set', { workDiskBytes: GIB, rootOverlayBytes: GIB }));
    assert.equal(diskLength(daemon, vm, 'workDisk'), GIB);
  });

  test('does not grow if its file system has errors or is missing (5.3)', async (t) => {
    const daemon = await daemonFor(t);
    const vm = await created(daemon.api, 'web', { ...SIZES, start: false });
    const { workDisk } = daemon.services.vms.pathsOf(vm);
    const bytes = readFileSync(workDisk);
    for (const [magic, state, message] of [
      [0xef53, 3, /has errors in its file system/],
      [0, 1, /holds no ext4/],
    ] as const) {
      bytes.writeUInt16LE(magic, 1024 + 56);
      bytes.writeUInt16LE(state, 1024 + 58);
      writeFileSync(workDisk, bytes);
      const { error } = await ended(daemon.api, await daemon.api.beginVm('web', 'set', { workDiskBytes: GIB, vcpuCount: 4 }));
      assert.match(error?.message ?? '', message);
      assert.deepEqual([diskLength(daemon, vm, 'workDisk'), (await daemon.api.showVm('web')).spec.vcpuCount], [128 * MIB, 2]);
    }
  });
});

describe('a running VM', () => {
  test('refuses what its VMM only reads at its start, and says which flags need a stop (3.7)', async (t) => {
    const daemon = await daemonFor(t);
    await created(daemon.api, 'web', SIZES);
    const { exitCode, stdout, stderr } = await runInProcess(daemon.world.env, [
      ...['vm', 'set', 'web', '--vcpu', '4', '--disk-size', '1G', '--no-nat'],
    ]);
    assert.deepEqual([exitCode, stdout], [1, '']);
    assert.match(stderr, /VM web is running, and --vcpu, --disk-size need it stopped; nothing was changed/);
    assert.match(stderr, /banger vm stop web/);
    assert.equal((await daemon.api.showVm('web')).spec.nat, true);
  });

  test('loses and regains its access to the outside while it runs, and its guest is told (3.7, 6.1)', async (t) => {
    const daemon = await daemonFor(t);
    await created(daemon.api, 'web');
    const network = () => fakeOf(daemon.world, 'web').guest.personalization?.['network'] as { gateway: unknown; nameservers: unknown[] };
    await set(daemon, 'web', { nat: false });
    assert.deepEqual([network().gateway, network().nameservers, (await daemon.api.showVm('web')).spec.nat], [null, [], false]);
    await set(daemon, 'web', { nat: true });
    assert.equal(network().nameservers.length, 1);
    assert.deepEqual(daemon.effects.seen.filter(({ name }) => name === 'network.setNat').length, 2);
  });

  test('stays unchanged when the network refuses (3.7)', async (t) => {
    const daemon = await daemonFor(t);
    await created(daemon.api, 'web');
    let calls = 0;
    daemon.effects.hook = ({ name }, phase) => {
      if (name === 'network.setNat' && phase === 'before' && calls++ === 0) throw new BangerError('NETWORK_FAILED', 'no rule was taken');
    };
    const { state } = await ended(daemon.api, await daemon.api.beginVm('web', 'set', { nat: false, name: 'shop' }));
    assert.deepEqual([state, calls], ['failed', 2]);
    assert.equal((await daemon.api.showVm('web')).spec.nat, true);
  });

  test('is refused a change of NAT if its network cannot do it, and nothing else of the request is done (3.7)', async (t) => {
    const daemon = await daemonFor(t);
    await created(daemon.api, 'web');
    delete daemon.services.vms.drivers.networks()[0]?.setNat;
    const { exitCode, stdout, stderr } = await runInProcess(daemon.world.env, ['vm', 'set', 'web', '--no-nat', '--name', 'shop']);
    assert.deepEqual([exitCode === 0, stdout], [false, '']);
    assert.match(stderr, /only when a VM starts/);
    const { name, spec } = await daemon.api.showVm('web');
    assert.deepEqual([name, spec.nat], ['web', true]);
  });

  test('is renamed: its .vm name follows, its guest is told, and sessions continue (3.7, 6.3)', async (t) => {
    const daemon = await daemonFor(t);
    const { id, address } = await created(daemon.api, 'web');
    const { exitCode, stdout } = await runInProcess(daemon.world.env, ['vm', 'set', 'web', '--name', 'shop']);
    assert.deepEqual([exitCode, stdout], [0, 'shop\n']);
    assert.deepEqual([...daemon.world.names], [['shop', address]]);
    const { personalization } = fakeOf(daemon.world, 'web').guest;
    assert.equal(personalization?.['hostname'], 'shop');
    assert.match(String(personalization['hosts']), / shop\.vm shop$/);
    assert.equal((await daemon.api.showVm('shop')).id, id);
    await assert.rejects(daemon.api.showVm('web'), { code: 'NOT_FOUND' });
    await created(daemon.api, 'web', { start: false });
    await done(daemon.api, daemon.api.beginVm('shop', 'stop'));
    assert.deepEqual([...daemon.world.names], []);
  });

  test('is renamed even if its guest does not answer, and the command says so (3.7)', async (t) => {
    const daemon = await daemonFor(t);
    const { id } = await created(daemon.api, 'web');
    const { agent } = daemon.services.vms.machines.get({ id, name: 'web' });
    agent.personalize = () => Promise.reject(new BangerError('AGENT_UNREACHABLE', 'it hangs'));
    const { stdout, stderr } = await runInProcess(daemon.world.env, ['vm', 'set', 'web', '--name', 'shop']);
    assert.equal(stdout, 'shop\n');
    assert.match(stderr, /shop: the guest did not answer, and gets the change at its next start: it hangs/);
  });
});

test('a daemon that is killed anywhere in vm set leaves all of the change or none in the record, and no disk is smaller than recorded (3.7, 9.5)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  const wanted = { vcpuCount: 4, memoryMib: 256, workDiskBytes: GIB, rootOverlayBytes: GIB, nat: false };
  const outcomes = new Set<string>();
  for (let n = 1; !outcomes.has('done'); n++) {
    const doomed = await startDaemon(world);
    const vm = await created(doomed.api, `web-${n}`, { ...SIZES, start: false });
    const died = Promise.withResolvers<void>();
    let count = 0;
    doomed.effects.hook = (_effect, phase) => {
      if (phase !== 'before' || ++count !== n) return;
      doomed.effects.die();
      died.resolve();
    };
    const change = doomed.api.beginVm(vm.id, 'set', wanted).then((operation) => ended(doomed.api, operation));
    const isDone = await Promise.race([died.promise.then(() => false), change.then(() => true)]);
    change.catch(() => undefined);
    doomed.effects.hook = () => undefined;
    await (isDone ? doomed.stop() : doomed.kill());
    const daemon = await startDaemon(world);
    const { spec, state } = await daemon.api.showVm(vm.id);
    const [work, root] = [diskLength(daemon, vm, 'workDisk'), diskLength(daemon, vm, 'rootOverlay')];
    assert.deepEqual(spec, spec.vcpuCount === 4 ? wanted : vm.spec, `died before effect ${n}`);
    assert.ok(state === 'stopped' && work >= spec.workDiskBytes && root >= spec.rootOverlayBytes, `died before effect ${n}`);
    await done(daemon.api, daemon.api.beginVm(vm.id, 'set', wanted));
    await daemon.stop();
    outcomes.add(isDone ? 'done' : spec.vcpuCount === 4 ? 'all' : 'nothing');
  }
  assert.deepEqual([...outcomes].toSorted(), ['all', 'done', 'nothing']);
});

test('of two simultaneous renames to one name, one succeeds and the other is refused (3.4, 3.7)', async (t) => {
  const daemon = await daemonFor(t);
  for (const name of ['one', 'two']) await created(daemon.api, name, { start: false });
  const outcomes = await Promise.allSettled(['one', 'two'].map((name) => set(daemon, name, { name: 'shop' })));
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  assert.equal((await daemon.api.listVms()).filter(({ name }) => name === 'shop').length, 1);
});

test('several VMs are changed in the order in which they were named, even if one fails (3.4, 3.7)', async (t) => {
  const daemon = await daemonFor(t);
  for (const name of ['one', 'two']) await created(daemon.api, name, { ...SIZES, start: false });
  await created(daemon.api, 'big', { workDiskBytes: 2 * GIB, start: false });
  const flags = ['two', 'nosuch', 'big', 'one', 'two', '--disk-size', '1G'];
  const { exitCode, stdout, stderr } = await runInProcess(daemon.world.env, ['vm', 'set', ...flags]);
  assert.deepEqual([exitCode, stdout], [1, 'two\none\n']);
  assert.match(stderr, /no VM "nosuch"[^]*cannot shrink/);
});

test('the CLI refuses what the daemon would refuse, before it sends anything (3.2, 3.7)', async (t) => {
  const daemon = await daemonFor(t);
  for (const name of ['one', 'two']) await created(daemon.api, name, { start: false });
  const requests = daemon.services.operations.list().length;
  for (const [flags, exitCode, message] of [
    [['one'], 2, /no change given/],
    [['one', 'two', '--name', 'shop'], 2, /several VMs cannot have one name/],
    [['one', '--all', '--vcpu', '2'], 2, /either --all or names/],
    [['--vcpu', '2'], 2, /no VM given/],
    [['one', '--vcpu', '0'], 2, /from 1 to 32/],
    [['one', '--memory', '1'], 2, /--memory/],
    [['one', '--disk-size', '20'], 2, /--disk-size/],
    [['one', '--name', 'A_b'], 2, /name/],
  ] as const) {
    const outcome = await runInProcess(daemon.world.env, ['vm', 'set', ...flags]);
    assert.equal(outcome.exitCode, exitCode, flags.join(' '));
    assert.match(outcome.stderr, message);
  }
  assert.equal(daemon.services.operations.list().length, requests);
});
