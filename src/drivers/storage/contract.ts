import type { Verdict } from '../../model/verdict.ts';

/**
 * Makes a VM's private, writable layer over an image's root file system.
 *
 * `create` either returns a disk or leaves nothing behind. `remove` is idempotent and tolerates pieces already gone.
 * Different overlays may be made at the same time. The base file is never written.
 */
export type StorageDriver = {
  readonly name: 'qcow2' | 'reflink' | 'copy' | 'dm-snapshot';
  /** Of every disk it makes: a VMM takes it or not. */
  readonly format: OverlayDisk['format'];
  /** Whether it works for files in `directory` on this host. */
  check(directory: string): Promise<Verdict>;
  /** @throws STORAGE_FAILED, NO_SPACE, CANCELLED */
  create(request: OverlayRequest, signal: AbortSignal): Promise<OverlayDisk>;
  /** @returns the disk of an overlay that `create` made earlier. */
  open(overlayPath: string): OverlayDisk;
  /** Makes the disk larger, the guest being off; a smaller or equal size changes nothing. */
  grow(overlayPath: string, sizeBytes: number): Promise<void>;
  remove(overlayPath: string): Promise<void>;
};

export type OverlayRequest = {
  /** Raw file system image, read-only. */
  basePath: string;
  /** Where the overlay goes; does not exist. */
  overlayPath: string;
  /** Virtual size, at least the base's. The file system inside is grown by the agent at boot. */
  sizeBytes: number;
};

export type OverlayDisk = { path: string; format: 'raw' | 'qcow2' };
