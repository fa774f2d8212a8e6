// What the launch in a jail decides; with real processes it is tried by the tests of the root helper.
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { createSpec } from '../../../../test/support/vmm/firecracker/bench.ts';
import { realHost } from '../../../host/host.ts';
import { claimsOf, jailedLaunch, parseExit, parseJail, parseJailPlaces } from './jail.ts';

const PLACES = { claimsDirectory: '/run/banger/users/1000', jailsDirectory: '/var/lib/banger-jail/firecracker' };

function launchWith(answers: Record<string, string[]>, asked: string[] = []): ReturnType<typeof jailedLaunch> {
  const ask = (request: string): Promise<string[]> => {
    asked.push(request);
    return Promise.resolve(answers[request] ?? []);
  };
  return jailedLaunch({ host: realHost, helper: { ask }, places: PLACES });
}

test("the helper's lines about itself, jails and ends are parsed (4.1)", () => {
  const hello = ['hello version=1 uid=1000 directory=/run/banger/users/1000', 'jail ready=yes jails=/var/lib/banger-jail/firecracker'];
  assert.deepEqual(parseJailPlaces(hello), PLACES);
  assert.equal(parseJailPlaces([hello[0] ?? '', 'jail ready=no jails=/x']), undefined);
  const lines = ['tap ffffffff uid=1000 x', 'jail 0a0b0c0d pid=12 start=345 uid=2000000 root=/x'];
  assert.deepEqual(parseJail(lines, '0a0b0c0d'), { identity: { pid: 12, startTicks: 345 }, uid: 2_000_000 });
  assert.equal(parseJail(lines, 'ffffffff'), undefined);
  assert.deepEqual(parseExit(['exit signal=9']), { exitCode: null, signal: 'SIGKILL' });
  assert.deepEqual(parseExit(['exit status=148']), { exitCode: 148, signal: null });
  assert.equal(parseExit([]), undefined);
});

test('files are claimed by name and seen by the VMM at the root of its jail; others are refused (4.1)', (t) => {
  const spec = createSpec(t);
  const readOnly = { path: '/images/base', format: 'raw', readOnly: true, durable: true } as const;
  const machine = { ...spec, disks: [...spec.disks, readOnly] };
  assert.deepEqual([...claimsOf(machine).keys()], ['kernel', 'initramfs', 'log', 'disk0', 'disk1-ro']);
  const launch = launchWith({});
  const seen = (path: string): string => launch.seen(machine, path);
  assert.equal(launch.paths(machine).api, `${PLACES.jailsDirectory}/bgr-ffffffff/root/run/api.sock`);
  assert.equal(seen(launch.paths(machine).vsock), '/run/vsock.sock');
  assert.deepEqual([machine.kernelPath, machine.initramfsPath, '/images/base'].map(seen), ['/kernel', '/initramfs', '/disk1']);
  assert.throws(() => seen('/images/other'), { code: 'UNSUPPORTED' });
});

test('only a process that the helper names and that lives is found; how one ended is asked for once (4.1)', async (t) => {
  const spec = createSpec(t);
  const asked: string[] = [];
  const list = [`jail ffffffff pid=${process.pid} start=1 uid=2000000 root=/x`];
  const launch = launchWith({ list, 'jail stop ffffffff': ['exit status=0'] }, asked);
  assert.equal(await launch.find(spec), undefined, 'the pid is another process by now');
  assert.deepEqual(await launch.status(spec), { exitCode: 0, signal: null });
  assert.deepEqual(await launch.status(spec), { exitCode: 0, signal: null });
  assert.deepEqual(asked, ['list', 'jail stop ffffffff']);
});

test("a socket in a jail is the jail user's or ours; one of anybody else is not connected to (4.1)", async (t) => {
  const spec = createSpec(t);
  const asked: [path: string, uid: number | undefined][] = [];
  const connectUnix = (path: string, uid?: number): Socket => {
    asked.push([path, uid]);
    return new Socket();
  };
  const list = [`jail ffffffff pid=${process.pid} start=1 uid=2000000 root=/x`];
  const launch = jailedLaunch({ host: { ...realHost, connectUnix }, helper: { ask: () => Promise.resolve(list) }, places: PLACES });
  launch.connect(spec, '/a');
  await launch.find(spec);
  launch.connect(spec, '/b');
  assert.deepEqual(asked, [
    ['/a', undefined],
    ['/b', 2_000_000],
  ]);
});
