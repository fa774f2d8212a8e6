// The driver, and the simulated Firecracker beside it, against a real one: set BANGER_FIRECRACKER to the program. Kernels of a
// few bytes take the place of Linux, so that even a KVM too slow for guests shows whether processes, pipes and locks behave.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSpec, fakeFirecracker, realFirecracker } from '../../../../test/support/vmm/firecracker/bench.ts';
import { exchange, startVmm } from '../../../../test/support/vmm/firecracker/raw-vmm.ts';
import { paced } from '../../../../test/support/machine/pace.ts';
import { realHost } from '../../../host/host.ts';
import { connectApi } from './api-client.ts';
import type { Machine, MachineSpec } from '../contract.ts';
import { createFirecrackerHypervisor } from './driver.ts';
import { bareKernel, probeKernel } from './speed-probe.ts';

const real = realFirecracker();
const absent = real === undefined ? 'BANGER_FIRECRACKER does not name a Firecracker' : false;
const noMachine = absent === false ? kvmProblem() : absent;
const fake = fakeFirecracker();

function kvmProblem(): string | false {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return false;
  } catch {
    return '/dev/kvm cannot be opened';
  }
}

const json = JSON.stringify;

/** Method, path and body of requests that must be refused, or of the few between them that must be taken. */
function requestsBeforeStart(spec: MachineSpec): [string, string, string?][] {
  const disk = spec.disks[0]?.path ?? '';
  const drive = { drive_id: 'a', is_root_device: false, path_on_host: disk };
  return [
    ['GET', '/'],
    ['GET', '/', '{}'],
    ['GET', '/nothing'],
    ['PUT', '/nothing', '{}'],
    ['DELETE', '/drives/a'],
    ['PUT', '/actions'],
    ['PUT', '/actions', '[1]'],
    ['PUT', '/actions', '{"action_type":"Stop"}'],
    ['PUT', '/actions', '{"action_type":"InstanceStart"}'],
    ['PUT', '/actions', '{"action_type":"FlushMetrics"}'],
    ['PUT', '/actions', '{"action_type":"SendCtrlAltDel"}'],
    ['PATCH', '/vm', '{"state":"Paused"}'],
    ['PUT', '/snapshot/create', '{"snapshot_path":"s","mem_file_path":"m"}'],
    ['PUT', '/snapshot/load', '{"snapshot_path":"s"}'],
    ['PUT', '/snapshot/load', '{"snapshot_path":"s","mem_file_path":"m","mem_backend":{"backend_type":"File","backend_path":"m"}}'],
    ['PUT', '/snapshot/load', '{"snapshot_path":"s","mem_backend":{"backend_type":"Tape","backend_path":"m"}}'],
    ['PUT', '/machine-config', '{"vcpu_count":1}'],
    ['PUT', '/machine-config', '{"vcpu_count":33,"mem_size_mib":128}'],
    ['PUT', '/machine-config', '{"vcpu_count":1,"mem_size_mib":0}'],
    ['PUT', '/machine-config', '{"vcpu_count":1,"mem_size_mib":128,"colour":"red"}'],
    ['PUT', '/machine-config', '{"vcpu_count":2,"mem_size_mib":128}'],
    ['PATCH', '/machine-config', '{"vcpu_count":1}'],
    ['PATCH', '/machine-config'],
    ['PUT', '/boot-source', json({ kernel_image_path: '/nonexistent' })],
    ['PUT', '/boot-source', json({ kernel_image_path: spec.kernelPath, initrd_path: '/nonexistent' })],
    ['PUT', '/boot-source', json({ kernel_image_path: spec.kernelPath, boot_args: 'x'.repeat(2048) })],
    ['PUT', '/boot-source', json({ kernel_image_path: spec.kernelPath, boot_args: 1 })],
    ['PUT', '/drives/a', json({ ...drive, path_on_host: '/nonexistent' })],
    ['PUT', '/drives/a', json({ ...drive, cache_type: 'Never' })],
    ['PUT', '/drives/a', json({ ...drive, path_on_host: undefined })],
    ['PUT', '/drives/a', json({ ...drive, is_root_device: undefined })],
    ['PUT', '/drives/b', json(drive)],
    ['PUT', '/drives/a-b', json({ ...drive, drive_id: 'a-b' })],
    ['PUT', '/drives', json(drive)],
    ['PUT', '/drives/a', json(drive)],
    ['PUT', '/drives/a', json(drive)],
    ['PATCH', '/drives/a', json({ drive_id: 'a' })],
    ['PUT', '/network-interfaces/eth0', json({ iface_id: 'eth0', host_dev_name: 'a-name-that-is-too-long' })],
    ['PUT', '/network-interfaces/eth0', json({ iface_id: 'eth1', host_dev_name: 'x' })],
    ['PUT', '/network-interfaces/eth0', json({ iface_id: 'eth0' })],
    ['PUT', '/vsock', json({ uds_path: join(spec.runtimeDirectory, 'v') })],
    ['PUT', '/vsock', json({ guest_cid: 3, uds_path: disk })],
    ['PUT', '/vsock', json({ guest_cid: 3, uds_path: join(spec.runtimeDirectory, 'v') })],
    ['PUT', '/vsock', json({ guest_cid: 3, uds_path: join(spec.runtimeDirectory, 'v') })],
    ['PUT', '/balloon', '{"amount_mib":0}'],
    ['PUT', '/balloon', '{"amount_mib":0,"deflate_on_oom":true,"free_page_reporting":true}'],
    ['PATCH', '/balloon', '{"amount_mib":1}'],
    ['PUT', '/entropy', '{"speed":1}'],
    ['PUT', '/entropy', '{}'],
    ['PUT', '/snapshot/load', '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}'],
    ['PUT', '/serial', json({ serial_out_path: join(spec.runtimeDirectory, 's'), colour: 1 })],
    ['PUT', '/serial', json({ serial_out_path: join(spec.runtimeDirectory, 's') })],
    ['PUT', '/logger', '{"level":"Loud"}'],
    ['PUT', '/logger', '{"level":"Info","show_level":true}'],
    ['PUT', '/metrics', '{}'],
    ['PUT', '/metrics', json({ metrics_path: join(spec.runtimeDirectory, 'm') })],
    ['PUT', '/metrics', json({ metrics_path: join(spec.runtimeDirectory, 'm') })],
    ['PUT', '/entropy', 'x'.repeat(60_000)],
    // The kernel is the first bytes of one.
    ['PUT', '/boot-source', json({ kernel_image_path: spec.initramfsPath })],
    ['PUT', '/actions', '{"action_type":"InstanceStart"}'],
  ];
}

/** Of a machine that runs and has the drive `a`. */
const REQUESTS_AFTER_START: [string, string, string?][] = [
  ['GET', '/'],
  ['PUT', '/actions', '{"action_type":"InstanceStart"}'],
  ['PUT', '/machine-config', '{"vcpu_count":1,"mem_size_mib":128}'],
  ['PATCH', '/machine-config', '{"vcpu_count":1}'],
  ['PUT', '/boot-source', '{"kernel_image_path":"/etc/passwd"}'],
  ['PUT', '/drives/b', '{"drive_id":"b","is_root_device":false,"path_on_host":"/etc/passwd","is_read_only":true}'],
  ['PUT', '/vsock', '{"guest_cid":3,"uds_path":"v"}'],
  ['PUT', '/entropy', '{}'],
  ['PUT', '/serial', '{}'],
  ['PUT', '/logger', '{}'],
  ['PATCH', '/drives/b', '{"drive_id":"b"}'],
  ['PATCH', '/drives/a', '{"drive_id":"a","path_on_host":"/nonexistent"}'],
  ['PATCH', '/drives/a', '{"drive_id":"a","rate_limiter":{"bandwidth":{"size":1}}}'],
  ['PATCH', '/drives/a', '{"drive_id":"a","rate_limiter":{"bandwidth":{"size":1,"refill_time":1}}}'],
  ['PATCH', '/drives/a', '{"drive_id":"a","is_read_only":true}'],
  ['PATCH', '/network-interfaces/eth0', '{"iface_id":"eth0"}'],
  ['PATCH', '/vm', '{"state":"Stopped"}'],
  ['PUT', '/snapshot/create', '{"snapshot_path":"/nonexistent/s","mem_file_path":"/nonexistent/m"}'],
  ['PUT', '/snapshot/load', '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}'],
  ['PATCH', '/vm', '{"state":"Paused"}'],
  ['PATCH', '/vm', '{"state":"Paused"}'],
  ['PUT', '/snapshot/create', '{"snapshot_path":"/nonexistent/s","mem_file_path":"/nonexistent/m"}'],
  ['PUT', '/snapshot/create', '{"snapshot_path":"s"}'],
  ['PUT', '/snapshot/create', '{"snapshot_path":"s","mem_file_path":"m","snapshot_type":"Half"}'],
  ['GET', '/'],
  ['PATCH', '/vm', '{"state":"Resumed"}'],
  ['PATCH', '/vm', '{"state":"Resumed"}'],
  ['PUT', '/actions', '{"action_type":"FlushMetrics"}'],
  ['PUT', '/actions', '{"action_type":"SendCtrlAltDel"}'],
];

async function answersOf(socket: string, requests: readonly [string, string, string?][], hidden: string): Promise<string[]> {
  const answers: string[] = [];
  for (const [method, path, body] of requests) {
    const { status, fault } = await exchange(socket, method, path, body);
    answers.push(
      `${method} ${path} ${body?.slice(0, 99).replaceAll(hidden, '') ?? ''}: ${status}${fault === '' ? '' : ', with its reason'}`,
    );
  }
  return answers;
}

test('real and simulated Firecracker take and refuse the same requests before the start (4.1)', { skip: absent }, async (t) => {
  const answers = async (program: string): Promise<string[]> => {
    const spec = createSpec(t);
    return answersOf(await startVmm(t, program), requestsBeforeStart(spec), spec.runtimeDirectory);
  };
  assert.deepEqual(await answers(fake.program), await answers(real?.program ?? ''));
});

test('real and simulated Firecracker take and refuse the same requests after the start (4.1)', { skip: noMachine }, async (t) => {
  const answers = async (program: string): Promise<string[]> => {
    const spec = createSpec(t);
    writeFileSync(spec.kernelPath, talkative('x'));
    const socket = await startVmm(t, program);
    const drive = { drive_id: 'a', is_root_device: false, path_on_host: spec.disks[0]?.path };
    assert.equal((await exchange(socket, 'PUT', '/boot-source', json({ kernel_image_path: spec.kernelPath }))).status, 204);
    assert.equal((await exchange(socket, 'PUT', '/drives/a', json(drive))).status, 204);
    assert.equal((await exchange(socket, 'PUT', '/actions', '{"action_type":"InstanceStart"}')).status, 204);
    return answersOf(socket, REQUESTS_AFTER_START, spec.runtimeDirectory);
  };
  assert.deepEqual(await answers(fake.program), await answers(real?.program ?? ''));
});

test('real and simulated Firecracker end alike on wrong arguments, and leave their socket behind (4.1)', { skip: absent }, async (t) => {
  const endings = async (program: string): Promise<unknown[]> => {
    const socket = await startVmm(t, program);
    const lists = [['--nonsense'], ['--id'], ['--id', 'a_b', '--api-sock', `${socket}.x`], ['--api-sock', socket], ['--version']];
    const ends = lists.map((list) => spawnSync(program, list, { encoding: 'utf8' }));
    return [...ends.map(({ status, signal }) => ({ status, signal })), existsSync(socket), ends.at(-1)?.stdout.split('\n')[0]];
  };
  assert.deepEqual(await endings(fake.program), await endings(real?.program ?? ''));
});

/** Prints a line on the first serial port and then waits for ever. */
const talkative = (text: string): Buffer =>
  bareKernel([...[0x66, 0xba, 0xf8, 0x03], ...Array.from(text, (letter) => [0xb0, letter.charCodeAt(0), 0xee]).flat(), 0xf4, 0xeb, 0xfd]);

async function startReal(
  t: TestContext,
  kernel: Buffer,
  changes: Partial<MachineSpec> = {},
): Promise<{ spec: MachineSpec; machine: Machine }> {
  const spec = { ...createSpec(t), ...changes };
  writeFileSync(spec.kernelPath, kernel);
  const driver = createFirecrackerHypervisor({ host: realHost, settings: { ...fake, program: real?.program ?? '' } });
  const machine = await driver.start(spec, AbortSignal.timeout(paced(20_000)));
  t.after(async () => {
    await machine.terminate();
    await driver.cleanUp(spec);
  });
  return { spec, machine };
}

test('a guest that resets ends Firecracker cleanly, and it counts as a reset (4.1)', { skip: noMachine }, async (t) => {
  const { machine, spec } = await startReal(t, probeKernel(1));
  assert.equal((await machine.exited).cause, 'guest-reset');
  assert.match(readFileSync(spec.vmmLogPath, 'utf8'), /exit_code=0\n$/, 'its last words are in the log');
});

test("the log has the guest's output, also from while no daemon ran (4.1)", { skip: noMachine }, async (t) => {
  const { spec, machine } = await startReal(t, talkative('hello\n'));
  machine.detach();
  const again = await createFirecrackerHypervisor({ host: realHost, settings: { ...fake, program: real?.program ?? '' } }).adopt(
    spec,
    machine.process,
  );
  assert.deepEqual(again?.process, machine.process);
  await until(() => readFileSync(spec.serialLogPath, 'utf8') === 'hello\n');
  await again?.terminate();
  assert.equal((await again?.exited)?.cause, 'host-request');
});

test('a running machine is paused, measured and limited; its disk is opened anew (4.1)', { skip: noMachine }, async (t) => {
  const { machine } = await startReal(t, talkative('x'));
  await machine.pause?.();
  await machine.resume?.();
  assert.equal(typeof (await machine.readMetrics?.())?.['utc_timestamp_ms'], 'number');
  assert.ok((await machine.readMetrics?.()) !== undefined);
  await machine.setLimits?.({ disk: { bytesPerSecond: 1_000_000 } });
  await machine.setLimits?.({ disk: {} });
  await machine.updateDisk?.(0);
  await assert.rejects(machine.updateDisk?.(0, '/nonexistent') ?? Promise.resolve(), { code: 'VMM_FAILED' });
  await machine.requestShutdown();
});

/** Prints the alphabet and beyond, slowly, for ever. */
const counting = (): Buffer =>
  bareKernel([
    ...[0x66, 0xba, 0xf8, 0x03], //             mov dx, 0x3f8
    ...[0xb0, 0x41], //                         mov al, 'A'
    ...[0xee, 0xfe, 0xc0], //                   out dx, al; inc al
    ...[0xb9, 0x40, 0x0d, 0x03, 0x00], //       mov ecx, 200000
    ...[0xff, 0xc9, 0x75, 0xfc, 0xeb, 0xf2], // dec ecx; jnz dec; jmp out
  ]);

test(
  'a snapshot of a machine goes on in another process with the next letter, and a useless one is refused (4.1)',
  { skip: noMachine },
  async (t) => {
    const { spec, machine } = await startReal(t, counting());
    const driver = createFirecrackerHypervisor({ host: realHost, settings: { ...fake, program: real?.program ?? '' } });
    const said = (): Buffer => readFileSync(spec.serialLogPath);
    const directory = join(spec.runtimeDirectory, 'snapshot');
    mkdirSync(directory);
    await until(() => said().length > 2);
    await machine.createSnapshot?.(directory, AbortSignal.timeout(paced(20_000)));
    await machine.terminate();
    const before = said();
    const restored = await driver.restore?.(spec, directory, AbortSignal.timeout(paced(20_000)));
    t.after(() => restored?.terminate());
    await restored?.resume?.();
    await until(() => said().length > before.length + 1);
    const [last = 0] = before.subarray(-1);
    const [first = 0, second] = said().subarray(before.length);
    // Firecracker 1.16 takes the state of a vCPU that has left a write to a port without running on, and the guest does that write again.
    const next = first === last ? last : (last + 1) % 256;
    assert.deepEqual([first, second], [next, (next + 1) % 256], said().toString('latin1'));
    await restored?.terminate();
    writeFileSync(join(directory, 'state'), 'nonsense');
    await assert.rejects(async () => driver.restore?.(spec, directory, AbortSignal.timeout(paced(20_000))), {
      code: 'VMM_FAILED',
      message: /snapshot\/load/,
    });
    assert.equal(await driver.find(spec), undefined);
  },
);

test('a snapshot that cannot be loaded ends real and simulated Firecracker alike (4.1)', { skip: absent }, async (t) => {
  const body = { snapshot_path: '/nonexistent', mem_backend: { backend_type: 'File', backend_path: '/nonexistent' } };
  const ending = async (program: string): Promise<unknown> => {
    const path = join(createSpec(t).runtimeDirectory, 'api.sock');
    const child = spawn(program, ['--api-sock', path], { stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    const ended = once(child, 'exit');
    const api = await connectApi(
      { path, connect: realHost.connectUnix },
      { timeoutMs: paced(60_000), retryWhile: () => child.exitCode === null },
    );
    api.close();
    const { status } = await exchange(path, 'PUT', '/snapshot/load', json(body));
    return [status, ...(await ended)];
  };
  assert.deepEqual(await ending(fake.program), await ending(real?.program ?? ''));
});

test('a second Firecracker on the same writable disk is refused, and one after it is not (4.1)', { skip: noMachine }, async (t) => {
  const { spec, machine } = await startReal(t, talkative('x'));
  const { disks } = spec;
  await assert.rejects(startReal(t, talkative('x'), { disks }), { code: 'VMM_FAILED', message: /in use by another VMM/ });
  await machine.terminate();
  await (await startReal(t, talkative('x'), { disks })).machine.terminate();
});

test('a disk that may only be read is shared (4.1)', { skip: noMachine }, async (t) => {
  const disks = createSpec(t).disks.map((disk) => ({ ...disk, readOnly: true }));
  await startReal(t, talkative('x'), { disks });
  await startReal(t, talkative('x'), { disks });
});

async function until(isSo: () => boolean): Promise<void> {
  for (const limit = performance.now() + paced(5000); !isSo(); await new Promise((resolve) => setTimeout(resolve, 10))) {
    assert.ok(performance.now() < limit, 'waited too long');
  }
}
