import type { DiskUsage } from '../drivers/storage/contract.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** If less is left in an overlay, banger extends it: what a guest writes between two checks must fit. */
const OVERLAY_LEAST_BYTES = 128 * MIB;
/** What is left after an extension. */
export const OVERLAY_AHEAD_BYTES = 512 * MIB;

/** The action after a check of an overlay. */
export type OverlayDecision = { do: 'nothing' } | { do: 'extend'; sizeBytes: number } | { do: 'report'; problem: string };

/** @returns how to keep the guest from filling the space of its overlay */
export function decideOverlay({ usedBytes, sizeBytes, limitBytes, state }: DiskUsage): OverlayDecision {
  if (state === 'overflow') {
    return { do: 'report', problem: 'its root disk is full and accepts no more writes; earlier writes are kept: restart the VM' };
  }
  if (state === 'invalid') return { do: 'report', problem: 'its root disk is damaged: the file of its changes cannot be read' };
  if (sizeBytes >= limitBytes || sizeBytes - usedBytes >= OVERLAY_LEAST_BYTES) return { do: 'nothing' };
  return { do: 'extend', sizeBytes: Math.min(usedBytes + OVERLAY_AHEAD_BYTES, limitBytes) };
}

/** Below this, the guest waits. It leaves room for what the guest can write until the next check. */
const HOST_LEAST_BYTES = 64 * MIB;
/** Above the other mark, so that banger does not stop and continue a VM again and again. */
const HOST_ENOUGH_BYTES = 128 * MIB;
/** Bytes per second: the fastest disks of developers' computers. */
const FASTEST_WRITE_BYTES = 4 * GIB;

/** The action after a check of the host's free space. Between the two marks, nothing changes. */
export type HostDecision = { do: 'nothing' } | { do: 'go on' } | { do: 'hold'; untilBytes: number };

/** @param freeBytes of the file system that holds the VM's disks */
export function decideHost(freeBytes: number): HostDecision {
  if (freeBytes < HOST_LEAST_BYTES) return { do: 'hold', untilBytes: HOST_ENOUGH_BYTES };
  return freeBytes >= HOST_ENOUGH_BYTES ? { do: 'go on' } : { do: 'nothing' };
}

/**
 * @param usualMs the interval of checks for a small amount of free space
 * @returns milliseconds until a guest could have written all that is free now: long on a disk with room, short on a nearly full one
 */
export function nextLookMs(freeBytes: number, usualMs: number): number {
  const fullAfterMs = (1000 * (freeBytes - HOST_LEAST_BYTES)) / FASTEST_WRITE_BYTES;
  return Math.min(Math.max(fullAfterMs, usualMs / 20), usualMs * 20);
}
