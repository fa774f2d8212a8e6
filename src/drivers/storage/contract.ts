import type { DriverChecks, Finding } from '../../model/finding.ts';
import type { DiskFormat, MachineDisk } from '../hypervisor/contract.ts';

/**
 * Makes the disks of VMs. A VM has one of each role:
 * - `root`: a private, writable layer over the root file system of an image, which is never written.
 * - `work`: a disk of its own, cloned from a seed or made empty.
 *
 * Order: `create` or `clone` once → for each run of the VM `attach` → `detach` → `remove` once. `create`, `clone` and `attach` either
 * succeed or leave nothing of theirs behind. What `attach` makes is gone after a reboot of the host, what `create` makes is not; a
 * driver keeps nothing between daemon lives, so each call finds out how far the others came. `detach` and `remove` are
 * idempotent and tolerate pieces already gone; `remove` of an attached disk detaches it first.
 * Different disks may be handled at the same time.
 */
export type StorageDriver = {
  readonly name: string;
  /** What this host can do with it, where the disks of VMs go. */
  checks(): Promise<DriverChecks>;
  readonly root: RootDisks;
  readonly work: WorkDisks;
  /** Lets go of every attached disk of this user whose VM is not in the list. Only on drivers whose `attach` makes something. */
  sweep?(alive: readonly { vmId: string }[]): Promise<void>;
};

/** Names a disk; both belong together for as long as it exists. */
export type Disk = {
  vmId: string;
  /** The file that holds what the VM wrote; the driver may put more beside it, under longer names. */
  path: string;
};

/** What the disks of both roles can do. @template Source what they are made of */
export type Disks<Source> = {
  /**
   * Of every disk of this role that the driver makes: a VMM takes it or not. Nothing is ever read from the disk itself to tell what it
   * is: guests write there what they like.
   */
  readonly format: DiskFormat;
  /** Never over a disk that is there. @throws STORAGE_FAILED, NO_SPACE */
  create(request: Disk & Source & { sizeBytes: number }, signal: AbortSignal): Promise<void>;
  /**
   * Makes a disk `to` with all that `from` holds, as cheaply as the file system can; neither sees what is written to the other
   * afterwards. `from` is of the same role and driver, is not attached, and stays as it is; `to` is not there yet.
   * @throws STORAGE_FAILED, NO_SPACE
   */
  clone(from: Disk, to: Disk, signal: AbortSignal): Promise<void>;
  /** Makes the disk larger, while it is not attached; a smaller or equal size changes nothing. */
  grow(disk: Disk, sizeBytes: number): Promise<void>;
  remove(disk: Disk): Promise<void>;
  /** @returns the size that a guest sees, bytes. @throws when the disk is not there */
  sizeBytes(disk: Disk): Promise<number>;
  /** @returns the space of the host that it takes, bytes; undefined when it is not there */
  allocatedBytes(disk: Disk): Promise<number | undefined>;
};

/** A root disk begins as the raw file system image at `basePath`. The agent grows the file system inside at boot. */
export type RootDisks = Disks<{ basePath: string }> & {
  /**
   * Makes the disk usable for a VMM of this user; one that is attached stays as it is.
   * @throws STORAGE_FAILED, NO_SPACE, PREREQUISITE_MISSING
   */
  attach(disk: Disk, signal: AbortSignal): Promise<AttachedDisk>;
  /** Lets go of it, the VMM having ended. Only on drivers whose `attach` makes something. */
  detach?(disk: Disk): Promise<void>;
  /** What this host lacks for `grow`. Only on drivers that need more for it than `checks` tells of. */
  growChecks?(): Promise<Finding[]>;
  /**
   * How much of the space that an attached disk has been given is used. Only on drivers that must be given space ahead
   * of what the guest writes; they have `extend` too.
   */
  usage?(disk: Disk): Promise<DiskUsage>;
  /**
   * Gives an attached disk this much space, as far as it has use for it; never takes any away.
   * @throws NO_SPACE, STORAGE_FAILED
   */
  extend?(disk: Disk, sizeBytes: number): Promise<void>;
};

/**
 * A work disk begins as a clone of the ext4 file system at `seedPath`, or as an empty one when there is none; the agent grows it when it
 * mounts it. With every driver it is the raw file at its path, which a VMM opens as it is: images take it as their seed.
 */
export type WorkDisks = Disks<{ seedPath: string | null }> & {
  readonly format: 'raw';
  /** Takes a growth back that no guest has seen. */
  ungrow(disk: Disk, sizeBytes: number): Promise<void>;
  /** @returns the first bytes that a guest sees */
  readHead(disk: Disk, bytes: number): Promise<Uint8Array>;
};

export type AttachedDisk = Pick<MachineDisk, 'path' | 'format'>;

export type DiskUsage = {
  usedBytes: number;
  /** The space it has been given. */
  sizeBytes: number;
  /** More is never needed, whatever the guest writes. */
  limitBytes: number;
  /**
   * `overflow`: writes fail since it was full, and do so until it is attached anew; what was written before is kept.
   * `invalid`: what was written cannot be read.
   */
  state: 'ok' | 'overflow' | 'invalid';
};
