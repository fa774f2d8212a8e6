import { BangerError } from '../model/errors.ts';
import type { LifecycleServices } from '../context/services.ts';
import type { Vm } from '../model/vm.ts';
import { isAtRest, isPowered } from '../model/vm-state.ts';
import { makeContext } from '../context/vm-context.ts';
import { messageOf } from '../lib/message-of.ts';

/**
 * Sweeps all networks. Each network keeps the objects of VMs that run, and of VMs whose state is unknown.
 * @returns whether every network that has joined one of the VMs could be swept
 */
export async function sweepNetworks(services: LifecycleServices): Promise<boolean> {
  const networks = services.vms.drivers.networks();
  const isThere = (name: string | undefined): boolean => name === undefined || networks.some((network) => network.name === name);
  let isDone = services.vms.records.listAll().every(({ runtime }) => isThere(runtime?.networkDriver)) && networks.length > 0;
  const maybeRunning = services.vms.records.listAll().filter(({ state }) => !isAtRest(state));
  const contexts = maybeRunning.map((vm) => makeContext(services, vm));
  for (const network of networks) {
    const joined = contexts.filter(({ vm }) => mayHaveJoined(vm, network.name)).map((context) => context.network);
    await network.sweep(joined).catch((error: unknown) => {
      if (isAbsent(error) && !services.vms.records.listAll().some(({ runtime }) => runtime?.networkDriver === network.name)) return;
      isDone = false;
      services.world.warn('a network could not be swept', { network: network.name, reason: messageOf(error) });
    });
  }
  return isDone;
}

/** If a VM's record was lost, its network may be unknown. */
function mayHaveJoined({ state, runtime }: Vm, network: string): boolean {
  return runtime?.networkDriver === network || (isPowered(state) && runtime?.networkDriver === undefined);
}

/** A network that is not available on this host has nothing to sweep. */
function isAbsent(error: unknown): boolean {
  return error instanceof BangerError && error.code === 'PREREQUISITE_MISSING';
}
