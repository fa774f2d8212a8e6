import { join } from 'node:path';
import { BangerError } from '../../../model/errors.ts';
import { LAST_WORD_VSOCK_PORT } from '../../../model/guest-agent.ts';
import { VMM_OPEN_FILES } from '../../../model/limits.ts';
import type { DiskFormat, MachineDisk, MachineLimits, MachineNetwork, MachineSpec, TransferLimit } from '../contract.ts';
import { kernelCommandLine } from '../kernel-command-line.ts';
import { memoryFile } from '../snapshot-key.ts';

/** What the driver accepts; the VMM supports no other disks, and has no network of its own. */
export const TAKES = { diskFormats: ['raw', 'device'], networks: ['tap', 'none'] } as const;

/** Firecracker appends `pci=off`, and for each device `virtio_mmio.device=4K@0xd0001000:5`; rounded up. */
const APPENDED_BYTES = 16;
const APPENDED_BYTES_PER_DEVICE = 48;

/** MAX_SUPPORTED_VCPUS of Firecracker. */
const MAX_VCPUS = 32;
/** Ports above 2 are guests. Each VM has a vsock of its own, so all VMs may use the same address. */
const GUEST_CID = 3;
/** The exit status of flock if another VMM has the disk; Firecracker has no such status. */
export const DISK_BUSY_STATUS = 75;
const LOCK_WAIT_SECONDS = 1;

/** Loads kernel and initramfs. On a very busy host that has taken more than ten seconds. */
const BOOT_TIMEOUT_MS = 60_000;
/** Writes all of the guest's memory to a disk, which may be slow. */
const SNAPSHOT_TIMEOUT_MS = 600_000;

/** First version that can redirect its serial output (PUT /serial). */
export const OLDEST_VERSION: Version = { major: 1, minor: 14 };
const SINCE_MTU: Version = { major: 1, minor: 16 };
const SINCE_BZIMAGE: Version = { major: 1, minor: 17 };

export type Version = { major: number; minor: number };

export function isAtLeast(version: Version, wanted: Version): boolean {
  return version.major > wanted.major || (version.major === wanted.major && version.minor >= wanted.minor);
}

/** Sockets and pipes of one machine, as the daemon sees them. */
export type MachinePaths = {
  api: string;
  /** Connections to the guest. */
  vsock: string;
  /** Connections from the guest to LAST_WORD_VSOCK_PORT; Firecracker derives the name. */
  lastWord: string;
  /** Named pipes: however much output the guest makes the VMM write, it takes 64 KiB of memory, and what the daemon keeps of it. */
  log: string;
  serial: string;
  metrics: string;
};

export function machinePaths(spec: Pick<MachineSpec, 'runtimeDirectory'>): MachinePaths {
  const at = (name: string): string => join(spec.runtimeDirectory, name);
  const vsock = at('vsock.sock');
  const pipes = { log: at('log.fifo'), serial: at('serial.fifo'), metrics: at('metrics.fifo') };
  return { api: at('api.sock'), vsock, lastWord: `${vsock}_${LAST_WORD_VSOCK_PORT}`, ...pipes };
}

/** One request that changes something. @param timeoutMs if the client's default is too short */
export type ApiRequest = { method: 'PUT' | 'PATCH'; path: string; body: Record<string, unknown>; timeoutMs?: number };

export type FirecrackerMachine = {
  spec: MachineSpec;
  version: Version;
  paths: MachinePaths;
  /** The VMM's path of a file of the host: the same, or another one inside a jail. */
  seen(hostPath: string): string;
};

/**
 * The command line of the VMM and of the programs in front of it; each execs the next, so that the pid stays. Firecracker locks no disk, so
 * flock(1) takes a lock that the VMM inherits and holds until it ends. It keeps out a second Firecracker; QEMU uses locks of another kind.
 */
export function processArguments(parts: { spec: MachineSpec; program: string; apiPath: string }): string[] {
  const { spec } = parts;
  const lock = ['flock', '--no-fork', '--timeout', `${LOCK_WAIT_SECONDS}`, '--conflict-exit-code', `${DISK_BUSY_STATUS}`];
  return [
    ...spec.commandPrefix,
    ...['prlimit', `--nofile=${VMM_OPEN_FILES}:`],
    ...spec.disks.flatMap((disk) => [...lock, disk.readOnly ? '--shared' : '--exclusive', disk.path]),
    ...[parts.program, '--id', spec.vmId, '--api-sock', parts.apiPath],
  ];
}

/**
 * All requests from a fresh process to a running guest, in the one order that always works: logs come first, so that they report later
 * failures.
 * @throws UNSUPPORTED, INVALID_INPUT
 */
export function machineRequests(machine: FirecrackerMachine): ApiRequest[] {
  const { spec, paths, seen } = machine;
  refuseUnsupported(spec);
  return [
    ...outputRequests(machine),
    put('/machine-config', { vcpu_count: spec.vcpuCount, mem_size_mib: spec.memoryMib }),
    put('/boot-source', {
      kernel_image_path: seen(spec.kernelPath),
      initrd_path: seen(spec.initramfsPath),
      boot_args: commandLine(spec),
    }),
    ...spec.disks.map((disk, index) => diskRequest(disk, index, seen)),
    ...networkRequests(machine),
    put('/vsock', { guest_cid: GUEST_CID, uds_path: seen(paths.vsock) }),
    // A guest can return freed memory through an empty balloon; a guest without the driver just does not use it.
    put('/balloon', { amount_mib: 0, deflate_on_oom: true, free_page_reporting: true }),
    put('/entropy', {}),
    { ...put('/actions', { action_type: 'InstanceStart' }), timeoutMs: BOOT_TIMEOUT_MS },
  ];
}

/** The only requests that are allowed before a process loads a snapshot. */
function outputRequests({ paths, seen }: FirecrackerMachine): ApiRequest[] {
  return [
    put('/logger', { log_path: seen(paths.log), level: 'Info', show_level: true }),
    put('/metrics', { metrics_path: seen(paths.metrics) }),
    put('/serial', { serial_out_path: seen(paths.serial) }),
  ];
}

/** What the state of a machine names of the host. */
export type NamedInState = { vsock: string; tapName: string | null; disks: readonly string[] };

/** @returns what the state of this machine is going to name */
export function namedInState({ spec, paths, seen }: Omit<FirecrackerMachine, 'version'>): NamedInState {
  const tapName = spec.network.kind === 'tap' ? spec.network.tapName : null;
  return { vsock: seen(paths.vsock), tapName, disks: spec.disks.map(({ path }) => seen(path)) };
}

/**
 * All requests from a fresh process to a guest that can continue, in place of the machine of the snapshot or beside it. Firecracker cannot
 * be told of other disks before it loads the state, so it opens those of the snapshot, and then others, before the guest moves.
 * @param saved what the state names
 */
export function restoreRequests(machine: FirecrackerMachine, directory: string, saved: NamedInState): ApiRequest[] {
  const { statePath, memoryPath } = snapshotFiles(directory);
  const { vsock, tapName, disks } = namedInState(machine);
  const load = put('/snapshot/load', {
    snapshot_path: statePath,
    mem_backend: { backend_type: 'File', backend_path: memoryPath },
    resume_vm: false,
    ...(vsock === saved.vsock ? {} : { vsock_override: { uds_path: vsock } }),
    ...(tapName === saved.tapName ? {} : { network_overrides: [{ iface_id: NETWORK_ID, host_dev_name: tapName }] }),
  });
  const others = disks.flatMap((path, index) => (path === saved.disks[index] ? [] : [diskUpdate(index, path)]));
  return [...outputRequests(machine), { ...load, timeoutMs: SNAPSHOT_TIMEOUT_MS }, ...others];
}

/** `Diff`: without pages that the guest has never used; they become holes of the file. */
export type SnapshotType = 'Full' | 'Diff';

/** @returns the request that writes the state and the memory of a paused machine */
export function snapshotRequest(directory: string, type: SnapshotType = 'Full'): ApiRequest {
  const { statePath, memoryPath } = snapshotFiles(directory);
  const body = { snapshot_path: statePath, mem_file_path: memoryPath, snapshot_type: type };
  return { ...put('/snapshot/create', body), timeoutMs: SNAPSHOT_TIMEOUT_MS };
}

function snapshotFiles(directory: string): { statePath: string; memoryPath: string } {
  return { statePath: join(directory, 'state'), memoryPath: memoryFile(directory) };
}

/**
 * Continues a paused machine. Firecracker 1.16 then sends its guest nothing over vsock until the guest has confirmed that all connections
 * were reset, and asks the guest for it only when a snapshot is made (`kick` and `prepare_save` in its vsock device). So this asks for a
 * snapshot at a path where it must fail; Firecracker notices that only after it has asked the guest.
 * @returns two requests; the first one fails
 */
export function resumeRequests(): [refused: ApiRequest, resume: ApiRequest] {
  return [snapshotRequest('/proc/0'), patch('/vm', { state: 'Resumed' })];
}

const put = (path: string, body: Record<string, unknown>): ApiRequest => ({ method: 'PUT', path, body });
const patch = (path: string, body: Record<string, unknown>): ApiRequest => ({ method: 'PATCH', path, body });

const diskId = (index: number): string => `disk${index}`;
const NETWORK_ID = 'eth0';

/**
 * No disk is the root device: the initramfs finds the root by its position, and Firecracker would move a root device to the front. The
 * VMM's default cache type ignores the guest's flushes, which only an ephemeral disk can afford.
 */
function diskRequest(disk: MachineDisk, index: number, seen: (path: string) => string): ApiRequest {
  return put(`/drives/${diskId(index)}`, {
    drive_id: diskId(index),
    path_on_host: seen(disk.path),
    is_root_device: false,
    is_read_only: disk.readOnly,
    cache_type: disk.durable ? 'Writeback' : 'Unsafe',
  });
}

/** Before 1.16, the guest learns its MTU only from banger's own configuration of the link. */
function networkRequests({ spec: { network }, version }: FirecrackerMachine): ApiRequest[] {
  if (network.kind !== 'tap') return [];
  const mtu = isAtLeast(version, SINCE_MTU) ? { mtu: network.mtu } : {};
  const body = { iface_id: NETWORK_ID, host_dev_name: network.tapName, guest_mac: network.macAddress, ...mtu };
  return [put(`/network-interfaces/${NETWORK_ID}`, body)];
}

/** @returns the request that makes the VMM reopen a disk's file. @param path as the VMM sees it */
export function diskUpdate(index: number, path: string): ApiRequest {
  return patch(`/drives/${diskId(index)}`, { drive_id: diskId(index), path_on_host: path });
}

/** @returns the requests that set limits */
export function limitRequests(spec: MachineSpec, limits: MachineLimits): ApiRequest[] {
  const { disk, receive, send } = limits;
  const drives =
    disk === undefined
      ? []
      : spec.disks.map((_, index) => patch(`/drives/${diskId(index)}`, { drive_id: diskId(index), rate_limiter: rateLimiter(disk) }));
  const interfaceLimits = {
    ...(receive === undefined ? {} : { rx_rate_limiter: rateLimiter(receive) }),
    ...(send === undefined ? {} : { tx_rate_limiter: rateLimiter(send) }),
  };
  const isLimited = spec.network.kind === 'tap' && Object.keys(interfaceLimits).length > 0;
  return [...drives, ...(isLimited ? [patch(`/network-interfaces/${NETWORK_ID}`, { iface_id: NETWORK_ID, ...interfaceLimits })] : [])];
}

/** An empty bucket that is never refilled removes a limit. */
const UNLIMITED = { size: 0, refill_time: 0 };

function rateLimiter(limit: TransferLimit): Record<string, unknown> {
  const bucket = (perSecond: number | undefined): object => (perSecond === undefined ? UNLIMITED : { size: perSecond, refill_time: 1000 });
  return { bandwidth: bucket(limit.bytesPerSecond), ops: bucket(limit.operationsPerSecond) };
}

/** Milliseconds, longer than any host's disk stays full. A new bucket has one token, and each request of the guest takes one. */
const HOLD_REFILL_MS = 365 * 24 * 3_600_000;

/** @returns the requests after which each disk serves one more request and then none */
export function holdRequests({ disks }: MachineSpec): ApiRequest[] {
  const ops = { size: 1, refill_time: HOLD_REFILL_MS };
  return disks.map((_, index) =>
    patch(`/drives/${diskId(index)}`, { drive_id: diskId(index), rate_limiter: { bandwidth: UNLIMITED, ops } }),
  );
}

/** @throws UNSUPPORTED if the machine needs what Firecracker does not have */
function refuseUnsupported(spec: MachineSpec): void {
  const remedy = 'set hypervisor = "auto" in the configuration';
  const takesDisk = (format: DiskFormat): boolean => TAKES.diskFormats.some((taken) => taken === format);
  const takesNetwork = (kind: MachineNetwork['kind']): boolean => TAKES.networks.some((taken) => taken === kind);
  const disk = spec.disks.find(({ format }) => !takesDisk(format));
  if (disk !== undefined) {
    throw new BangerError('UNSUPPORTED', `Firecracker reads raw disks only, and ${disk.path} is ${disk.format}`, {
      remedy: `use a storage driver with raw disks, or ${remedy}`,
      details: { vm: spec.vmName, path: disk.path, format: disk.format },
    });
  }
  if (!takesNetwork(spec.network.kind)) {
    throw new BangerError('UNSUPPORTED', 'Firecracker has no user-mode network of its own', { remedy, details: { vm: spec.vmName } });
  }
  if (spec.vcpuCount > MAX_VCPUS) {
    throw new BangerError('UNSUPPORTED', `${spec.vmName} has ${spec.vcpuCount} vCPUs, and Firecracker supports at most ${MAX_VCPUS}`, {
      remedy: `give it fewer, or ${remedy}`,
      details: { vm: spec.vmName, vcpuCount: spec.vcpuCount, limit: MAX_VCPUS },
    });
  }
}

/** Bytes from the kernel's beginning that `refuseKernel` examines. */
export const KERNEL_HEAD_BYTES = 0x206;

/**
 * @param head the first KERNEL_HEAD_BYTES of the file
 * @throws UNSUPPORTED if this version cannot load such a kernel
 */
export function refuseKernel(head: Buffer, version: Version, path: string): void {
  if (head.toString('latin1', 0, 4) === '\x7fELF') return;
  // "HdrS": Documentation/arch/x86/boot.rst.
  const isBzImage = head.toString('latin1', 0x202, 0x206) === 'HdrS';
  if (isBzImage && isAtLeast(version, SINCE_BZIMAGE)) return;
  const found = isBzImage ? 'a compressed kernel (bzImage)' : 'not a kernel';
  const { major, minor } = SINCE_BZIMAGE;
  throw new BangerError('UNSUPPORTED', `${path} is ${found}; this Firecracker loads uncompressed ones (ELF vmlinux) only`, {
    remedy: isBzImage ? `give it the vmlinux, or install Firecracker ${major}.${minor} or newer` : 'give it a vmlinux',
    details: { path },
  });
}

/**
 * Firecracker's default arguments without the one that forbids modules, and the arguments of every banger guest. `reboot=k` resets through
 * the keyboard controller, the only exit that the VMM treats as a clean end; a panic takes the same way at once. There is no such way for a
 * power-off, so the guest tells the host, and resets.
 */
const COMMON_ARGUMENTS = [
  'console=ttyS0',
  '8250.nr_uarts=1',
  'quiet',
  'loglevel=5',
  'reboot=k',
  'panic=-1',
  'oops=panic',
  'i8042.noaux',
  'i8042.nomux',
  'i8042.dumbkbd',
  'swiotlb=noforce',
  'random.trust_cpu=on',
  'cryptomgr.notests',
  'banger.transport=vsock',
  'banger.poweroff=reset',
];

/** @throws INVALID_INPUT if Linux would truncate the line, or it contains a line break */
function commandLine({ vmName, disks, network, kernelArguments }: MachineSpec): string {
  const devices = disks.length + (network.kind === 'tap' ? 1 : 0) + ['vsock', 'balloon', 'entropy'].length;
  const appendedBytes = APPENDED_BYTES + devices * APPENDED_BYTES_PER_DEVICE;
  return kernelCommandLine([...COMMON_ARGUMENTS, ...kernelArguments], { vmName, appendedBytes });
}
