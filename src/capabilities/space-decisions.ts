import type { DiskUsage } from '../drivers/storage/contract.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** When less is left in an overlay, more is given: what a guest writes between two looks must fit. */
const OVERLAY_LEAST_BYTES = 128 * MIB;
/** What is left then; who writes much goes on writing. */
export const OVERLAY_AHEAD_BYTES = 512 * MIB;

/** What a look at an overlay asks for. */
export type OverlayDecision = { do: 'nothing' } | { do: 'extend'; sizeBytes: number } | { do: 'report'; problem: string };

/** @returns what keeps the guest from running into the end of the space that its overlay has */
export function decideOverlay({ usedBytes, sizeBytes, limitBytes, state }: DiskUsage): OverlayDecision {
  if (state === 'overflow') {
    return { do: 'report', problem: 'its root disk ran full and takes no more writes; what was written before is kept: restart the VM' };
  }
  if (state === 'invalid') return { do: 'report', problem: 'its root disk is damaged: the file of its changes cannot be read' };
  if (sizeBytes >= limitBytes || sizeBytes - usedBytes >= OVERLAY_LEAST_BYTES) return { do: 'nothing' };
  return { do: 'extend', sizeBytes: Math.min(usedBytes + OVERLAY_AHEAD_BYTES, limitBytes) };
}

/** A guest has to wait while it can still write what it writes until the next look. */
const HOST_LEAST_BYTES = 64 * MIB;
/** Apart from the other, so that a VM is not stopped and continued again and again. */
const HOST_ENOUGH_BYTES = 128 * MIB;
/** Per second: what the fastest of a developer's disks take. */
const FASTEST_WRITE_BYTES = 4 * GIB;

/** What a look at the host's free space asks for; between the two marks all stays as it is. */
export type HostDecision = { do: 'nothing' } | { do: 'go on' } | { do: 'hold'; untilBytes: number };

/** @param freeBytes of the file system that holds the disks of the VM */
export function decideHost(freeBytes: number): HostDecision {
  if (freeBytes < HOST_LEAST_BYTES) return { do: 'hold', untilBytes: HOST_ENOUGH_BYTES };
  return freeBytes >= HOST_ENOUGH_BYTES ? { do: 'go on' } : { do: 'nothing' };
}

/**
 * @param usualMs the pace of looks at what is small
 * @returns milliseconds until what is free now could have been written: rarely on a disk with room, and often on one that is nearly full
 */
export function nextLookMs(freeBytes: number, usualMs: number): number {
  const fullAfterMs = (1000 * (freeBytes - HOST_LEAST_BYTES)) / FASTEST_WRITE_BYTES;
  return Math.min(Math.max(fullAfterMs, usualMs / 20), usualMs * 20);
}
