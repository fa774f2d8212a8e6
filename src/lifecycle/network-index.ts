import { allocateNetworkIndex, isVmLoopback, LAST_NETWORK_INDEX, networkIndexOf } from '../model/network.ts';
import type { LifecycleServices } from '../context/services.ts';

/**
 * Chooses the number of a new VM, and with it its addresses. It avoids the numbers of this installation's VMs, and those on whose loopback
 * address a program of another user already listens: that program would get connections for the VM.
 * @throws NETWORK_FAILED if every address is taken
 */
export function freeNetworkIndex({ vms, world, settings }: Pick<LifecycleServices, 'vms' | 'world' | 'settings'>): number {
  const own = vms.records.networkIndexes();
  const squatted = [...world.processes.listenedByOthers()].filter(isVmLoopback).map((address) => networkIndexOf({ guestAddress: address }));
  const all = new Set([...own, ...squatted]);
  // A user who listens on all of them must not prevent new VMs: `vm ports` reports a port that is taken.
  return allocateNetworkIndex(all.size >= LAST_NETWORK_INDEX / 2 ? own : all, settings.firstNetworkIndex);
}
