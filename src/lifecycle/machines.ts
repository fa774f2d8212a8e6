import type { Machine } from '../drivers/hypervisor/contract.ts';
import type { GuestAgent } from '../guest/agent-client.ts';
import { BangerError } from '../model/errors.ts';

/** A running VM as this daemon holds it. */
export type LiveMachine = {
  machine: Machine;
  agent: GuestAgent;
  /** exec, ssh and tunnel sessions that are open through this daemon. */
  sessions: number;
  /** Ends what runs beside the VM for its life, such as the port watch. */
  companions: AbortController;
};

export type Machines = ReturnType<typeof createMachines>;

/** The VMs that run, by id. Filled by start and adoption, emptied by stop. */
export function createMachines() {
  const live = new Map<string, LiveMachine>();
  return {
    add(vmId: string, machine: Machine, agent: GuestAgent): LiveMachine {
      const entry = { machine, agent, sessions: 0, companions: new AbortController() };
      live.set(vmId, entry);
      return entry;
    },
    find: (vmId: string): LiveMachine | undefined => live.get(vmId),
    /** @throws WRONG_STATE when the VM does not run here */
    get(vm: { id: string; name: string }): LiveMachine {
      const entry = live.get(vm.id);
      if (entry !== undefined) return entry;
      throw new BangerError('WRONG_STATE', `VM ${vm.name} is not running`, { remedy: `banger vm start ${vm.name}` });
    },
    remove(vmId: string): void {
      live.get(vmId)?.companions.abort();
      live.delete(vmId);
    },
    /** Lets go of every VMM without touching it (the daemon ends, VMs go on). */
    detachAll(): void {
      for (const { machine, companions } of live.values()) {
        companions.abort();
        machine.detach();
      }
      live.clear();
    },
  };
}
