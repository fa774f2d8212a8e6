import type { DriverChecks, Finding } from '../../model/finding.ts';
import type { DiskFormat, MachineDisk } from '../hypervisor/contract.ts';

/**
 * A storage driver makes the disks of VMs. A VM has one disk of each role:
 * - `root`: a private, writable layer over the root file system of an image, which is never written.
 * - `work`: a disk of its own, cloned from a seed or made empty.
 *
 * Order: `create` or `clone` once → for each run of the VM `attach` → `detach` → `remove` once. `create`, `clone` and `attach` either
 * succeed or leave nothing behind. A reboot of the host undoes `attach`, but not `create`. A driver keeps nothing between daemons, so each
 * call finds out how far earlier calls got. `detach` and `remove` are idempotent and tolerate missing pieces; `remove` of an attached disk
 * detaches it first. Calls for different disks may run at the same time.
 */
export type StorageDriver = {
  readonly name: string;
  /** What this host can do with this driver, in the directory of VMs' disks. */
  checks(): Promise<DriverChecks>;
  readonly root: RootDisks;
  readonly work: WorkDisks;
  /** Detaches every disk of this user whose VM is not in the list. Only on drivers whose `attach` makes something. */
  sweep?(alive: readonly { vmId: string }[]): Promise<void>;
};

/** Names a disk; both belong together for as long as it exists. */
export type Disk = {
  vmId: string;
  /** The file that holds what the VM wrote; the driver may put more files beside it, under longer names. */
  path: string;
};

/** Operations on the disks of both roles. @template Source what they are made from */
export type Disks<Source> = {
  /**
   * The format of all disks of this role: a VMM accepts it or not. The driver never reads the disk itself to find its format, because
   * guests write there what they like.
   */
  readonly format: DiskFormat;
  /** Never overwrites a disk that exists. @throws STORAGE_FAILED, NO_SPACE */
  create(request: Disk & Source & { sizeBytes: number }, signal: AbortSignal): Promise<void>;
  /**
   * Like `create`, makes a disk over the same source, without the source's content: the VMM of a disk that is attached copies into it what
   * that disk holds beyond the file that both lie over. Only where a VMM can do that.
   */
  createBlank?(request: Disk & Source & { sizeBytes: number }, signal: AbortSignal): Promise<void>;
  /**
   * Makes a disk `to` with the content of `from`, as cheaply as the file system can; later writes to one do not show in the other. `from`
   * has the same role and driver, is not attached, and stays as it is; `to` does not exist yet.
   * @throws STORAGE_FAILED, NO_SPACE
   */
  clone(from: Disk, to: Disk, signal: AbortSignal): Promise<void>;
  /** Makes the disk larger while it is not attached; a smaller or equal size changes nothing. */
  grow(disk: Disk, sizeBytes: number): Promise<void>;
  remove(disk: Disk): Promise<void>;
  /** @returns the size that a guest sees, bytes. @throws if the disk does not exist */
  sizeBytes(disk: Disk): Promise<number>;
  /** @returns the space that it takes on the host, bytes; undefined if it does not exist */
  allocatedBytes(disk: Disk): Promise<number | undefined>;
};

/** A root disk begins as the raw file system image at `basePath`. The guest agent grows the file system inside at boot. */
export type RootDisks = Disks<{ basePath: string }> & {
  /**
   * Makes the disk usable for a VMM of this user; an attached disk stays as it is.
   * @throws STORAGE_FAILED, NO_SPACE, PREREQUISITE_MISSING
   */
  attach(disk: Disk, signal: AbortSignal): Promise<AttachedDisk>;
  /** Detaches the disk after the VMM has ended. Only on drivers whose `attach` makes something. */
  detach?(disk: Disk): Promise<void>;
  /** What this host lacks for `grow`. Only on drivers that need more for it than `checks` covers. */
  growChecks?(): Promise<Finding[]>;
  /**
   * How much of the space that an attached disk was given is used. Only on drivers that must give space ahead of the guest's writes; they
   * have `extend` too.
   */
  usage?(disk: Disk): Promise<DiskUsage>;
  /**
   * Gives an attached disk this much space, as far as it can use it; never takes any away.
   * @throws NO_SPACE, STORAGE_FAILED
   */
  extend?(disk: Disk, sizeBytes: number): Promise<void>;
};

/**
 * A work disk begins as a clone of the ext4 file system at `seedPath`, or as an empty one if there is none; the guest agent grows it when
 * it mounts it. With every driver it is a raw file at its path, which a VMM opens directly: an image takes it as its seed.
 */
export type WorkDisks = Disks<{ seedPath: string | null }> & {
  readonly format: 'raw';
  /** Undoes a growth that no guest has seen. */
  ungrow(disk: Disk, sizeBytes: number): Promise<void>;
  /** @returns the first bytes that a guest sees */
  readHead(disk: Disk, bytes: number): Promise<Uint8Array>;
};

export type AttachedDisk = Pick<MachineDisk, 'path' | 'format'>;

export type DiskUsage = {
  usedBytes: number;
  /** The space that it was given. */
  sizeBytes: number;
  /** The most that it can ever need, whatever the guest writes. */
  limitBytes: number;
  /**
   * `overflow`: it got full, and writes fail until it is attached again; earlier writes are kept. `invalid`: what was written is
   * unreadable.
   */
  state: 'ok' | 'overflow' | 'invalid';
};
