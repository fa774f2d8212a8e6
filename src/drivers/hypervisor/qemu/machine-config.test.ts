import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MachineSpec } from '../contract.ts';
import { controlArgument, machineArguments, socketPaths, writesMemoryFile } from './machine-config.ts';
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
    { path: '/d/root.qcow2', format: 'qcow2', readOnly: false, durable: true },
    { path: '/dev/mapper/bgr-1', format: 'device', readOnly: true, durable: false },
  ],
  network: { kind: 'tap', tapName: 'bgr-aaaaaaaa', macAddress: '02:00:00:00:00:01', mtu: 1500 },
  runtimeDirectory: '/run/a,b',
  serialLogPath: '/l/serial.log',
  vmmLogPath: '/l/vmm.log',
  commandPrefix: [],
};

const argumentsOf = (changes: Partial<MachineSpec> = {}, accelerator: 'kvm' | 'tcg' = 'tcg'): string[] =>
  machineArguments({ spec: { ...spec, ...changes }, qemuPath: '/usr/bin/qemu-system-x86_64', accelerator, tscKhz: 2_600_000 });

/** The values of every occurrence of `option`. */
const valuesOf = (argv: string[], option: string): string[] =>
  argv.flatMap((word, index) => (word === option ? [argv[index + 1] ?? ''] : []));

test('under TCG the guest has the legacy clocks, gets the TSC frequency, has no mitigations and leaves its hot code alone (4.2)', () => {
  const argv = argumentsOf();
  assert.match(valuesOf(argv, '-M')[0] ?? '', /^microvm,acpi=on,.*pit=on,pic=on,rtc=on/);
  assert.match(valuesOf(argv, '-accel')[0] ?? '', /^tcg,thread=multi,tb-size=\d+$/);
  assert.match(valuesOf(argv, '-append')[0] ?? '', /tsc_early_khz=2600000/);
  assert.match(valuesOf(argv, '-append')[0] ?? '', /mitigations=off .*cgroup\.memory=nokmem,nosocket/);
});

test('under KVM the guest keeps its mitigations and its own clocks (4.2)', () => {
  const argv = argumentsOf({}, 'kvm');
  assert.deepEqual([valuesOf(argv, '-accel'), valuesOf(argv, '-cpu')], [['kvm'], ['host']]);
  assert.doesNotMatch(valuesOf(argv, '-append')[0] ?? '', /mitigations|tsc/);
});

test('memory is a file of which a snapshot is made, or one that is mapped and stays as it is (4.1, 10.5)', () => {
  const memoryOf = (argv: string[]): string => valuesOf(argv, '-object').find((value) => value.startsWith('memory')) ?? 'none';
  assert.equal(memoryOf(argumentsOf()), 'none');
  const shared = argumentsOf({ memoryPath: '/v/snapshot.new/memory' });
  assert.equal(memoryOf(shared), 'memory-backend-file,id=microvm.ram,size=512M,mem-path=/v/snapshot.new/memory,share=on');
  assert.match(valuesOf(shared, '-M')[0] ?? '', /,memory-backend=microvm\.ram$/);
  const mapped = machineArguments({ spec, qemuPath: 'q', accelerator: 'tcg', mappedPath: '/t/a,b/memory' });
  assert.equal(memoryOf(mapped), 'memory-backend-file,id=microvm.ram,size=512M,mem-path=/t/a,,b/memory,share=off');
  assert.deepEqual([argumentsOf(), shared, mapped].map(writesMemoryFile), [false, true, false]);
});

test('disks come in order with explicit formats; only an ephemeral one ignores flushes (5.1)', () => {
  const [first, second] = valuesOf(argumentsOf(), '-blockdev').map((text) => JSON.parse(text) as Record<string, Record<string, unknown>>);
  assert.deepEqual([first?.['driver'], first?.['file']?.['driver'], first?.['cache']?.['no-flush']], ['qcow2', 'file', false]);
  assert.deepEqual([second?.['driver'], second?.['file']?.['driver'], second?.['cache']?.['no-flush']], ['raw', 'host_device', true]);
  assert.deepEqual([first?.['file']?.['locking'], first?.['read-only'], second?.['read-only']], ['on', false, true]);
});

test('each kind of network has its own arguments, and none has none (6.1)', () => {
  assert.match(valuesOf(argumentsOf(), '-netdev')[0] ?? '', /^tap,id=net0,ifname=bgr-aaaaaaaa,script=no,downscript=no$/);
  const user = argumentsOf({ network: { kind: 'user', macAddress: '02:00:00:00:00:01', restricted: true } });
  assert.match(valuesOf(user, '-netdev')[0] ?? '', /^user,.*restrict=on$/);
  assert.deepEqual(valuesOf(argumentsOf({ network: { kind: 'none' } }), '-netdev'), []);
});

test('sixteen agent ports and the control socket lie in the runtime directory, commas doubled (4.2)', () => {
  const argv = argumentsOf();
  assert.equal(valuesOf(argv, '-chardev').filter((value) => value.includes('path=/run/a,,b/agent-')).length, 16);
  assert.equal(argv.includes(controlArgument(spec)), true);
  assert.equal(socketPaths(spec).qmp, '/run/a,b/qmp.sock');
});

test('QEMU is sandboxed and never resets a guest by itself (9.4)', () => {
  const argv = argumentsOf();
  assert.deepEqual(valuesOf(argv, '-sandbox'), ['on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny']);
  assert.equal(argv.includes('-no-reboot'), true);
});

test('a kernel command line that Linux would cut is refused (4.2)', () => {
  assert.throws(() => argumentsOf({ kernelArguments: ['x'.repeat(MAX_COMMAND_LINE_BYTES)] }), { code: 'INVALID_INPUT' });
  assert.throws(() => argumentsOf({ kernelArguments: ['a\nb'] }), { code: 'INVALID_INPUT' });
});
