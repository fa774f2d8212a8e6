import { join } from 'node:path';
import { AGENT_SERIAL_PORT, AGENT_SERIAL_PORTS } from '../../../model/guest-agent.ts';
import type { MachineDisk, MachineNetwork, MachineSpec } from '../contract.ts';
import { kernelCommandLine } from '../kernel-command-line.ts';

/**
 * Translation cache of TCG. By default QEMU takes an eighth of the host's memory, up to 1 GiB, and never frees the pages of a full cache.
 * 128 MiB holds kernel and systemd without a flush.
 */
const TRANSLATION_CACHE_MIB = 128;

export type QemuMachine = {
  spec: MachineSpec;
  qemuPath: string;
  accelerator: 'kvm' | 'tcg';
  /** Frequency of the host's time stamp counter, for TCG. */
  tscKhz?: number;
  /** A file of memory to begin with. The machine keeps what it changes to itself. Default: empty memory. */
  mappedPath?: string;
};

/** @returns where the driver finds the sockets of this machine */
export function socketPaths(spec: Pick<MachineSpec, 'runtimeDirectory'>): { qmp: string; serial: string; agents: string[] } {
  const at = (name: string): string => join(spec.runtimeDirectory, name);
  return {
    qmp: at('qmp.sock'),
    serial: at('serial.sock'),
    agents: Array.from({ length: AGENT_SERIAL_PORTS }, (_, index) => at(`agent-${index}.sock`)),
  };
}

/** @returns the one argument that only the QEMU of this runtime directory has; `find` looks for it */
export function controlArgument(spec: Pick<MachineSpec, 'runtimeDirectory'>): string {
  return socketArgument('qmp', socketPaths(spec).qmp);
}

/**
 * The whole command line of QEMU, after the spec's command prefix. The vCPUs do not run until `cont`, so that the first byte on the serial
 * line finds its reader.
 * @throws INVALID_INPUT if the kernel command line is too long or contains a line break
 */
export function machineArguments(machine: QemuMachine): string[] {
  const { spec, accelerator } = machine;
  return [
    machine.qemuPath,
    ...['-name', `guest=${quote(spec.vmName)}`],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-S'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-msg', 'timestamp=on'],
    ...['-M', `${machineType(accelerator)}${hasMemoryFile(machine) ? MEMORY_OF_MACHINE : ''}`, ...acceleratorArguments(accelerator)],
    ...['-smp', `${spec.vcpuCount}`, '-m', `size=${spec.memoryMib}M`, ...memoryArguments(machine)],
    ...['-kernel', spec.kernelPath, '-initrd', spec.initramfsPath, '-append', commandLine(machine)],
    ...channelArguments(spec),
    ...spec.disks.flatMap(diskArguments),
    ...networkArguments(spec.network),
    ...['-object', 'rng-random,id=rng0,filename=/dev/urandom', '-device', 'virtio-rng-device,rng=rng0'],
  ];
}

/** A machine without a file has its memory under the same name, so that either kind can go on as the other. */
const MEMORY_ID = 'microvm.ram';
/** For the machine, beside an object of its own. */
export const MEMORY_OF_MACHINE = `,memory-backend=${MEMORY_ID}`;
export const MEMORY_FILE_OBJECT = 'memory-backend-file,';
const SHARED = 'share=on';

const hasMemoryFile = ({ spec, mappedPath }: QemuMachine): boolean => (mappedPath ?? spec.memoryPath) !== undefined;

function memoryArguments({ spec, mappedPath }: QemuMachine): string[] {
  const path = mappedPath ?? spec.memoryPath;
  if (path === undefined) return [];
  const share = mappedPath === undefined ? SHARED : 'share=off';
  return ['-object', `${MEMORY_FILE_OBJECT}id=${MEMORY_ID},size=${spec.memoryMib}M,mem-path=${quote(path)},${share}`];
}

/** @returns whether the file of this QEMU's memory has all that the guest writes */
export function writesMemoryFile(argv: readonly string[]): boolean {
  return argv.some((word) => word.startsWith(MEMORY_FILE_OBJECT) && word.endsWith(SHARED));
}

/**
 * PIT, PIC and RTC stay under both accelerators: without them, a guest under TCG may wait for ever for its first tick while it calibrates
 * the TSC. ACPI stays because Debian's kernels find virtio-mmio devices only through ACPI.
 */
function machineType(accelerator: 'kvm' | 'tcg'): string {
  const clocks = accelerator === 'tcg' ? ',pit=on,pic=on,rtc=on' : ',rtc=on';
  return `microvm,acpi=on,auto-kernel-cmdline=off,isa-serial=off,ioapic2=on${clocks}`;
}

function acceleratorArguments(accelerator: 'kvm' | 'tcg'): string[] {
  if (accelerator === 'kvm') return ['-accel', 'kvm', '-cpu', 'host'];
  return ['-accel', `tcg,thread=multi,tb-size=${TRANSLATION_CACHE_MIB}`, '-cpu', 'max'];
}

/**
 * The serial line is a socket instead of a file: nothing grows while no daemon reads, and the guest's last output stays readable in the
 * socket after QEMU has ended.
 */
function channelArguments(spec: MachineSpec): string[] {
  const paths = socketPaths(spec);
  return [
    ...['-chardev', socketArgument('qmp', paths.qmp), '-mon', 'chardev=qmp,mode=control'],
    ...['-chardev', socketArgument('serial', paths.serial), '-device', 'isa-serial,chardev=serial'],
    ...['-device', `virtio-serial-device,max_ports=${AGENT_SERIAL_PORTS + 1}`],
    ...paths.agents.flatMap((path, index) => [
      ...['-chardev', socketArgument(`agent${index}`, path)],
      ...['-device', `virtserialport,chardev=agent${index},nr=${index + 1},name=${AGENT_SERIAL_PORT}${index}`],
    ]),
  ];
}

function socketArgument(id: string, path: string): string {
  return `socket,id=${id},path=${quote(path)},server=on,wait=off`;
}

/**
 * `werror=enospc` pauses the guest when the host's disk is full, instead of breaking its file system; the driver continues it. `no-flush`
 * is the effect of `cache=unsafe`.
 */
function diskArguments(disk: MachineDisk, index: number): string[] {
  return [
    ...['-blockdev', JSON.stringify(diskNode(disk, diskName(index)))],
    ...['-device', `virtio-blk-device,id=vd${index},drive=${diskName(index)},write-cache=on,werror=enospc,rerror=report`],
  ];
}

/** @returns what QEMU calls the disk at this place of the spec's list */
export const diskName = (index: number): string => `disk${index}`;

/** @returns how QEMU opens a disk, as the options of `blockdev-add` */
export function diskNode(disk: MachineDisk, name: string): Record<string, unknown> {
  const cache = { direct: false, 'no-flush': !disk.durable };
  const file = {
    driver: disk.format === 'device' ? 'host_device' : 'file',
    filename: disk.path,
    locking: 'on',
    cache,
    discard: 'unmap',
  };
  const driver = disk.format === 'qcow2' ? 'qcow2' : 'raw';
  return { driver, 'node-name': name, 'read-only': disk.readOnly, cache, discard: 'unmap', file };
}

function networkArguments(network: MachineNetwork): string[] {
  if (network.kind === 'none') return [];
  if (network.kind === 'user') {
    return [
      ...['-netdev', `user,id=net0,ipv6=off,restrict=${network.restricted ? 'on' : 'off'}`],
      ...['-device', `virtio-net-device,netdev=net0,mac=${network.macAddress}`],
    ];
  }
  return [
    ...['-netdev', `tap,id=net0,ifname=${quote(network.tapName)},script=no,downscript=no`],
    ...['-device', `virtio-net-device,netdev=net0,mac=${network.macAddress},host_mtu=${network.mtu}`],
  ];
}

/**
 * A panic reboots at once, and `-no-reboot` turns that into QEMU's end with the reason `guest-reset`. `quiet` drops output that nobody
 * reads (every byte on the line is a VM exit); warnings, errors and panics still show.
 */
const COMMON_ARGUMENTS = [
  'console=ttyS0',
  '8250.nr_uarts=1',
  'quiet',
  'loglevel=5',
  'panic=-1',
  'oops=panic',
  'random.trust_cpu=on',
  'cryptomgr.notests',
];

/** @throws INVALID_INPUT if Linux would truncate the line, or it contains a line break */
function commandLine({ spec, accelerator, tscKhz }: QemuMachine): string {
  const words = [...COMMON_ARGUMENTS, ...(accelerator === 'tcg' ? emulationArguments(tscKhz) : []), ...spec.kernelArguments];
  return kernelCommandLine(words, { vmName: spec.vmName });
}

/**
 * Under TCG the guest reads the host's TSC. Its own calibration against the emulated PIT fails now and then on a busy host, and the boot
 * hangs (2 of 15 here; 0 of 30 if the frequency is given). There is no second clock to check the TSC against. An emulated CPU does not
 * speculate, so mitigations only cost time.
 *
 * The kernel always measures the APIC timer. Linux 6.1 (calibrate_APIC_clock in arch/x86/kernel/apic/apic.c) skips that only for a timer
 * with TSC deadline, which QEMU 7.2 does not emulate, and if the platform gives the frequency: CPUID leaf 0x15 of an Intel processor, which
 * TCG does not have, or Hyper-V, VMware or Jailhouse. `apicpmtimer` needs an ACPI timer, which microvm lacks, and `nolapic_timer` leaves
 * two processors without a tick. A host that takes the processor away for 100 ms at that moment spoils the measurement. So boots queue for
 * processors, and BootWatch catches the rest.
 *
 * QEMU before 8.1 may keep translated code that the guest has changed meanwhile ("accel/tcg: Always lock pages before translation"). Linux
 * changes its own code when it switches a static key: it puts a breakpoint there first, and a processor that keeps the translated breakpoint
 * comes back to it for ever. Early in a boot the other processors idle; but systemd's first control group for memory switches two keys, one of them in
 * kmem_cache_alloc, while all of them work. The kernel does not switch them if it does not count its own memory for control groups.
 */
function emulationArguments(tscKhz: number | undefined): string[] {
  const tsc = tscKhz === undefined ? [] : [`tsc_early_khz=${tscKhz}`];
  return ['no_timer_check', 'mitigations=off', 'tsc=reliable', 'cgroup.memory=nokmem,nosocket', ...tsc];
}

/** QEMU's option parser splits at commas; a doubled comma stands for one. */
function quote(value: string): string {
  return value.replaceAll(',', ',,');
}
