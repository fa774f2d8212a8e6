import type { LifecycleServices } from '../../context/services.ts';
import { addressesOf } from '../../model/network.ts';
import { isKeptAwake } from '../../model/vm-sleep.ts';
import type { Vm } from '../../model/vm.ts';
import { type CpuLook, type Due, dueTier, isBusy, tiersOf } from './tiers.ts';

export type UseServices = Pick<LifecycleServices, 'vms' | 'world' | 'operations'>;

/** Whether use must be looked at, because it leaves no trace in the record. */
export const isWatched = (tiers: readonly Due[]): boolean => tiers.some(({ tier }) => tier !== 'stop');

export type Use = ReturnType<typeof createUse>;

/** Knows when each VM was last used. */
export function createUse(services: UseServices, staleAfterMs: number | null) {
  const now = (): number => services.world.clock.now().getTime();
  // Uses without a daemon are unknown, so every VM gets a full period from here on.
  const bornMs = now();
  const busyAt = new Map<string, number>();
  const triedAt = new Map<string, number>();
  const looks = new Map<string, CpuLook>();

  const tiersHere = (vm: Vm): Due[] => {
    const machine = services.vms.machines.find(vm.id)?.machine;
    const means = { pause: machine?.pause !== undefined, suspend: machine?.createSnapshot !== undefined };
    return tiersOf(vm, means, staleAfterMs);
  };

  /** With an open session, a VM is in use now. */
  const lastMs = (vm: Vm): number => {
    if ((services.vms.machines.find(vm.id)?.sessions ?? 0) > 0 || isKeptAwake(vm, now())) return now();
    const leaseMs = Date.parse(vm.keepAwake?.until ?? '') || 0;
    return Math.max(bornMs, leaseMs, busyAt.get(vm.id) ?? 0, triedAt.get(vm.id) ?? 0, Date.parse(vm.lastUsedAt ?? vm.createdAt));
  };

  const dueOf = (vm: Vm): Due | undefined => dueTier(tiersHere(vm), now() - lastMs(vm));

  /** The daemon does not see the data of forwarded connections, so it has to look for them. */
  const touchConnected = async (): Promise<void> => {
    const connected = await services.world.processes.connectedAddresses();
    for (const vm of services.vms.records.list()) {
      const address = services.vms.drivers.addressOnHost(vm.runtime, addressesOf(vm.networkIndex));
      if (vm.state === 'running' && connected.has(address))
        services.vms.records.update(vm.id, { lastUsedAt: services.world.clock.now().toISOString() });
    }
  };

  const lookAtProcessor = async (vm: Vm): Promise<void> => {
    const machine = services.vms.machines.find(vm.id)?.machine;
    const usage = machine === undefined ? undefined : await services.world.processes.processUsage(machine.process);
    if (usage === undefined) return;
    const present = { cpuMs: usage.cpuMs, atMs: now() };
    const before = looks.get(vm.id);
    // Of one that nobody has looked at, nothing is known; it may have just booted.
    if (before === undefined ? dueOf(vm) !== undefined : isBusy(before, present)) busyAt.set(vm.id, present.atMs);
    looks.set(vm.id, present);
  };

  return {
    now,
    tiersOf: tiersHere,
    lastMs,
    triedMs: ({ id }: Vm): number => triedAt.get(id) ?? 0,
    noteTry: ({ id }: Vm): void => void triedAt.set(id, now()),
    dueOf,
    async look(): Promise<void> {
      await touchConnected();
      for (const { vmId, state } of services.operations.list()) if (vmId !== null && state === 'running') busyAt.set(vmId, now());
      const vms = services.vms.records.list();
      for (const known of [looks, busyAt, triedAt])
        for (const id of known.keys()) if (services.vms.records.find(id) === undefined) known.delete(id);
      await Promise.all(vms.filter((vm) => isWatched(tiersHere(vm)) && vm.state === 'running').map(lookAtProcessor));
    },
  };
}
