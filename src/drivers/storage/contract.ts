import type { DriverChecks } from '../../model/finding.ts';

/**
 * Makes a VM's private, writable layer over an image's root file system.
 *
 * Order: `create` once → for each run of the VM `attach` → `detach` → `remove` once. `create` and `attach` either succeed or
 * leave nothing of theirs behind. What `attach` makes is gone after a reboot of the host, what `create` makes is not; a
 * driver keeps nothing between daemon lives, so each call finds out how far the others came. `detach` and `remove` are
 * idempotent and tolerate pieces already gone; `remove` of an attached overlay detaches it first.
 * Different overlays may be handled at the same time. The base file is never written.
 */
export type StorageDriver = {
  readonly name: string;
  /** Of every disk it makes: a VMM takes it or not. */
  readonly format: OverlayDisk['format'];
  /** What this host can do with it, where the disks of VMs go. */
  checks(): Promise<DriverChecks>;
  /** @throws STORAGE_FAILED, NO_SPACE, CANCELLED */
  create(request: OverlayRequest, signal: AbortSignal): Promise<void>;
  /**
   * Makes the overlay usable for a VMM of this user; one that is attached stays as it is.
   * @throws STORAGE_FAILED, NO_SPACE, PREREQUISITE_MISSING
   */
  attach(overlay: Overlay, signal: AbortSignal): Promise<OverlayDisk>;
  /** Lets go of it, the VMM having ended. Only on drivers whose `attach` makes something. */
  detach?(overlay: Overlay): Promise<void>;
  /** Makes the disk larger, while it is not attached; a smaller or equal size changes nothing. */
  grow(overlay: Overlay, sizeBytes: number): Promise<void>;
  remove(overlay: Overlay): Promise<void>;
  /** Lets go of every attached overlay of this user whose VM is not in the list. Only on drivers whose `attach` makes something. */
  sweep?(alive: readonly { vmId: string }[]): Promise<void>;
  /**
   * How much of the space that an attached overlay has been given is used. Only on drivers that must be given space ahead
   * of what the guest writes; they have `extend` too.
   */
  usage?(overlay: Overlay): Promise<OverlayUsage>;
  /**
   * Gives an attached overlay this much space, as far as it has use for it; never takes any away.
   * @throws NO_SPACE, STORAGE_FAILED
   */
  extend?(overlay: Overlay, sizeBytes: number): Promise<void>;
};

/** Names an overlay; both belong together for as long as it exists. */
export type Overlay = {
  vmId: string;
  /** The file that holds what the VM wrote; the driver may put more beside it, under longer names. */
  overlayPath: string;
};

export type OverlayRequest = Overlay & {
  /** Raw file system image, read-only. */
  basePath: string;
  /** Virtual size, at least the base's. The file system inside is grown by the agent at boot. */
  sizeBytes: number;
};

export type OverlayDisk = { path: string; format: 'raw' | 'qcow2' };

export type OverlayUsage = {
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
