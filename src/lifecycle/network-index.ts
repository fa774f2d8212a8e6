import { allocateNetworkIndex, isVmLoopback, LAST_NETWORK_INDEX, networkIndexOf } from '../model/network.ts';
import type { LifecycleServices } from '../context/services.ts';

/**
 * Chooses the number of a new VM, and with it its addresses: none of this installation's VMs, and none on whose loopback address
 * a program of another user listens already, who would get what is meant for the VM.
 * @throws NETWORK_FAILED when every address is taken
 */
export function freeNetworkIndex({ vms, world, settings }: Pick<LifecycleServices, 'vms' | 'world' | 'settings'>): number {
  const own = vms.records.networkIndexes();
  const squatted = [...world.processes.listenedByOthers()].filter(isVmLoopback).map((address) => networkIndexOf({ guestAddress: address }));
  const all = new Set([...own, ...squatted]);
  // Whoever sits on all of them keeps nobody from having VMs: a port that is taken is told in `vm ports`.
  return allocateNetworkIndex(all.size >= LAST_NETWORK_INDEX / 2 ? own : all, settings.firstNetworkIndex);
}
