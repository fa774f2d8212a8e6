import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { API_FACTS, parseRequest } from '../../../../test/support/vmm/firecracker/api-rules.ts';
import { type ApiFacts, readSwagger } from '../../../../test/support/vmm/firecracker/swagger.ts';
import type { MachineSpec } from '../contract.ts';
import {
  type ApiRequest,
  KERNEL_HEAD_BYTES,
  diskUpdate,
  limitRequests,
  machinePaths,
  machineRequests,
  namedInState,
  type NamedInState,
  processArguments,
  refuseKernel,
  restoreRequests,
} from './machine-config.ts';
import { MAX_COMMAND_LINE_BYTES } from '../kernel-command-line.ts';

const spec: MachineSpec = {
  vmId: 'a'.repeat(32),
  vmName: 'web',
  vcpuCount: 2,
  memoryMib: 512,
  kernelPath: '/b/vmlinux',
  initramfsPath: '/b/initramfs',
  kernelArguments: ['banger.root=/dev/vda'],
  disks: [
    { path: '/d/root', format: 'raw', readOnly: false, durable: true },
    { path: '/dev/mapper/bgr-1', format: 'device', readOnly: true, durable: false },
  ],
  network: { kind: 'tap', tapName: 'bgr-aaaaaaaa', macAddress: '02:00:00:00:00:01', mtu: 1500 },
  runtimeDirectory: '/run/a',
  serialLogPath: '/l/serial.log',
  vmmLogPath: '/l/vmm.log',
  commandPrefix: ['enter', '7'],
};

const seen = (path: string): string => path;
const requestsOf = (changes: Partial<MachineSpec> = {}, minor = 16): ApiRequest[] =>
  machineRequests({ spec: { ...spec, ...changes }, version: { major: 1, minor }, paths: machinePaths(spec), seen });
const restoreOf = (saved: NamedInState): ApiRequest[] =>
  restoreRequests({ spec, version: { major: 1, minor: 16 }, paths: machinePaths(spec), seen }, '/t/snapshot', saved);
const bodyOf = (requests: ApiRequest[], path: string): Record<string, unknown> =>
  requests.find((request) => request.path === path)?.body ?? {};

test('logs come first, then machine, kernel, disks in their order, network, vsock, and the start last (4.1)', () => {
  assert.deepEqual(
    requestsOf().map(({ path }) => path),
    [
      ...['/logger', '/metrics', '/serial', '/machine-config', '/boot-source', '/drives/disk0', '/drives/disk1'],
      ...['/network-interfaces/eth0', '/vsock', '/balloon', '/entropy', '/actions'],
    ],
  );
});

test('the start alone may take a minute, because it loads kernel and initramfs on a host that may be busy (4.1)', () => {
  const patient = requestsOf().filter(({ timeoutMs }) => timeoutMs !== undefined);
  assert.deepEqual(
    patient.map(({ path, timeoutMs }) => [path, timeoutMs]),
    [['/actions', 60_000]],
  );
});

test('only an ephemeral disk may lose flushed data, and no disk is moved to the front (5.1)', () => {
  const requests = requestsOf();
  const said = ['/drives/disk0', '/drives/disk1'].map((path) => {
    const { cache_type, is_read_only, is_root_device } = bodyOf(requests, path);
    return [cache_type, is_read_only, is_root_device];
  });
  assert.deepEqual(said, [
    ['Writeback', false, false],
    ['Unsafe', true, false],
  ]);
});

test('a power-off is made a reset, and modules are not forbidden (4.1)', () => {
  const line = String(bodyOf(requestsOf(), '/boot-source')['boot_args']);
  assert.match(line, /\breboot=k\b.*\bbanger\.transport=vsock banger\.poweroff=reset banger\.root=\/dev\/vda$/);
  assert.doesNotMatch(line, /nomodule/);
});

test('the MTU is only sent to a version that knows it (4.1)', () => {
  assert.equal(bodyOf(requestsOf(), '/network-interfaces/eth0')['mtu'], 1500);
  assert.equal(bodyOf(requestsOf({}, 14), '/network-interfaces/eth0')['mtu'], undefined);
  assert.equal(
    requestsOf({ network: { kind: 'none' } }).some(({ path }) => path.startsWith('/network')),
    false,
  );
});

test('inside a jail the VMM gets the paths that it sees there (4.1)', () => {
  const jailed = (path: string): string => `/jail${path}`;
  const requests = machineRequests({ spec, version: { major: 1, minor: 16 }, paths: machinePaths(spec), seen: jailed });
  const paths = requests.flatMap(({ body }) => Object.values(body)).filter((value) => /^\/(b|d|dev|run)\//.test(String(value)));
  assert.deepEqual(paths, []);
  assert.equal(bodyOf(requests, '/vsock')['uds_path'], '/jail/run/a/vsock.sock');
});

test('each disk is locked before the VMM has it, and every step is an exec (4.1)', () => {
  const argv = processArguments({ spec, program: '/usr/bin/firecracker', apiPath: '/run/a/api.sock' }).join(' ');
  const flock = 'flock --no-fork --timeout 1 --conflict-exit-code 75';
  const disks = `${flock} --exclusive /d/root ${flock} --shared /dev/mapper/bgr-1`;
  assert.equal(argv, `enter 7 prlimit --nofile=2048: ${disks} /usr/bin/firecracker --id ${spec.vmId} --api-sock /run/a/api.sock`);
});

test('what Firecracker does not have is refused before it starts (4.1)', () => {
  const qcow2 = { path: '/d/x', format: 'qcow2', readOnly: false, durable: true } as const;
  assert.throws(() => requestsOf({ disks: [qcow2] }), { code: 'UNSUPPORTED', message: /raw disks only.*\/d\/x/ });
  const user = { kind: 'user', macAddress: '02:00:00:00:00:01', restricted: true } as const;
  assert.throws(() => requestsOf({ network: user }), { code: 'UNSUPPORTED' });
  assert.throws(() => requestsOf({ vcpuCount: 33 }), { code: 'UNSUPPORTED' });
});

test('room is left on the kernel command line for what Firecracker appends (4.1)', () => {
  const args = (bytes: number): string[] => ['x'.repeat(bytes)];
  const used = String(bodyOf(requestsOf({ kernelArguments: [] }), '/boot-source')['boot_args']).length;
  const appended = ' pci=off'.length + 6 * ' virtio_mmio.device=4K@0xd0001000:5'.length;
  const tooMuch = MAX_COMMAND_LINE_BYTES - used - appended;
  assert.throws(() => requestsOf({ kernelArguments: args(tooMuch) }), { code: 'INVALID_INPUT' });
  assert.throws(() => requestsOf({ kernelArguments: ['a\nb'] }), { code: 'INVALID_INPUT' });
  assert.ok(requestsOf({ kernelArguments: args(tooMuch - 200) }));
});

test('a compressed kernel is taken by 1.17 and later only (4.1)', () => {
  const bzImage = Buffer.alloc(KERNEL_HEAD_BYTES);
  bzImage.write('HdrS', 0x202);
  const elf = Buffer.from('\x7fELF');
  for (const minor of [16, 17]) refuseKernel(elf, { major: 1, minor }, '/k');
  refuseKernel(bzImage, { major: 1, minor: 17 }, '/k');
  assert.throws(() => refuseKernel(bzImage, { major: 1, minor: 16 }, '/k'), { code: 'UNSUPPORTED', message: /bzImage/ });
  assert.throws(() => refuseKernel(Buffer.from('#!/bin/sh'), { major: 1, minor: 17 }, '/k'), {
    code: 'UNSUPPORTED',
    message: /not a kernel/,
  });
});

test('a limit holds for every disk or for one direction, and an empty one is lifted (4.1)', () => {
  assert.deepEqual(
    limitRequests(spec, { disk: { bytesPerSecond: 5 } }).map(({ path, body }) => [path, body['rate_limiter']]),
    ['disk0', 'disk1'].map((id) => [`/drives/${id}`, { bandwidth: { size: 5, refill_time: 1000 }, ops: { size: 0, refill_time: 0 } }]),
  );
  const [request, ...more] = limitRequests(spec, { send: {} });
  assert.deepEqual(
    [request?.path, Object.keys(request?.body ?? {}), more],
    ['/network-interfaces/eth0', ['iface_id', 'tx_rate_limiter'], []],
  );
  assert.deepEqual(limitRequests({ ...spec, network: { kind: 'none' } }, { send: {} }), []);
});

test('a machine that goes on in its own place gets nothing else, and one beside it gets what is its own (4.1, 10.5)', () => {
  const own = namedInState({ spec, paths: machinePaths(spec), seen });
  const namesOf = (requests: ApiRequest[]): string[] => requests.slice(3).map(({ path }) => path);
  const same = restoreOf(own);
  assert.deepEqual(
    [namesOf(same), Object.keys(bodyOf(same, '/snapshot/load')).toSorted()],
    [['/snapshot/load'], ['mem_backend', 'resume_vm', 'snapshot_path']],
  );
  const beside = restoreOf({ vsock: '/t/vsock.sock', tapName: 'bgr-tttttttt', disks: ['/t/root', ...own.disks.slice(1)] });
  assert.deepEqual(namesOf(beside), ['/snapshot/load', '/drives/disk0']);
  const { vsock_override: vsock, network_overrides: networks } = bodyOf(beside, '/snapshot/load');
  assert.deepEqual([vsock, networks], [{ uds_path: own.vsock }, [{ iface_id: 'eth0', host_dev_name: own.tapName }]]);
});

/** Every request that the driver can make. */
const everyRequest = (): ApiRequest[] => [
  ...restoreOf({ vsock: '/t/vsock.sock', tapName: 'bgr-tttttttt', disks: [] }),
  ...requestsOf(),
  diskUpdate(0, '/d/x'),
  ...limitRequests(spec, { disk: { bytesPerSecond: 1 }, receive: {}, send: { operationsPerSecond: 1 } }),
  ...['Paused', 'Resumed'].map((state) => ({ method: 'PATCH', path: '/vm', body: { state } }) as const),
  ...['FlushMetrics', 'SendCtrlAltDel'].map((type) => ({ method: 'PUT', path: '/actions', body: { action_type: type } }) as const),
];

const faultsIn = (facts: ApiFacts): string[] =>
  everyRequest().flatMap(({ method, path, body }) => {
    const parsed = parseRequest({ method, path, body: JSON.stringify(body) }, facts);
    return 'fault' in parsed ? [`${method} ${path}: ${parsed.fault}`] : [];
  });

test('every request is one that Firecracker publishes, with fields that it has (4.1)', () => {
  assert.deepEqual(faultsIn(API_FACTS), []);
});

const published = process.env['BANGER_FIRECRACKER_API'];
test(
  'the API of the version in BANGER_FIRECRACKER_API still takes every request (4.1)',
  {
    skip: published === undefined ? 'BANGER_FIRECRACKER_API does not name a firecracker.yaml' : false,
  },
  () => {
    const facts = readSwagger(readFileSync(published ?? '', 'utf8'));
    assert.deepEqual(faultsIn(facts), []);
    if (facts.version === API_FACTS.version) assert.deepEqual(facts, API_FACTS);
  },
);
