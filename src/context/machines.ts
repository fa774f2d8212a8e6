import type { Machine, MachineExit } from '../drivers/hypervisor/contract.ts';
import type { ForwardResult } from '../drivers/network/contract.ts';
import type { AgentClient } from '../guest/agent-client.ts';
import type { GuestPort } from '../guest/protocol.ts';
import { Listeners } from '../lib/listeners.ts';
import { BangerError } from '../model/errors.ts';

/** A running VM as this daemon holds it. */
export type LiveMachine = {
  machine: Machine;
  agent: AgentClient;
  /** exec, ssh and tunnel sessions that are open through this daemon. */
  sessions: number;
  /** Called when it is the turn of one that waits for a session, the oldest first. */
  waiting: (() => void)[];
  /** Ends what runs beside the VM for its life, such as the port watch. */
  companions: AbortController;
  /** What listens in the guest and where it is reached, as far as is known. */
  reach: Reach;
  /** Tells that the guest's clock was set, by the host or inside. */
  clockSets: Listeners<void>;
  /** Why its network cannot be used at present, when it was adopted without it. */
  networkProblem: string | null;
};

export type Reach = {
  guestPorts: readonly GuestPort[];
  results: readonly ForwardResult[];
  /** The end of the last change: a later list of ports must not be overtaken by an earlier one. */
  turn: Promise<unknown>;
};

export type Machines = ReturnType<typeof createMachines>;

/**
 * The VMs that run, by id. Filled by start and adoption, emptied by stop. Beside those that are held it knows those that run and
 * could not be adopted: they are left alone, and tried again.
 * @param onExit called for every VMM that ended, also after a stop
 */
export function createMachines(onExit: (vmId: string, machine: Machine, exit: MachineExit) => void) {
  const live = new Map<string, LiveMachine>();
  const left = new Map<string, string>();
  const changes = new Listeners<string>();
  return {
    add(vmId: string, machine: Machine, agent: AgentClient): LiveMachine {
      const entry: LiveMachine = {
        machine,
        agent,
        sessions: 0,
        waiting: [],
        companions: new AbortController(),
        clockSets: new Listeners(),
        reach: { guestPorts: [], results: [], turn: Promise.resolve() },
        networkProblem: null,
      };
      left.delete(vmId);
      live.set(vmId, entry);
      void machine.exited.then((exit) => onExit(vmId, machine, exit));
      changes.tell(vmId);
      return entry;
    },
    find: (vmId: string): LiveMachine | undefined => live.get(vmId),
    /** Notes that the VM runs and cannot be adopted. */
    leave: (vmId: string, reason: string): void => void left.set(vmId, reason),
    /** @returns why the VM, which runs, is not adopted */
    whyLeft: (vmId: string): string | undefined => left.get(vmId),
    /** @throws WRONG_STATE when the VM does not run here, or is not adopted */
    get(vm: { id: string; name: string }): LiveMachine {
      const entry = live.get(vm.id);
      if (entry !== undefined) return entry;
      const reason = left.get(vm.id);
      if (reason !== undefined) {
        // Starting it would only try again what has just failed, and the daemon does so by itself.
        throw new BangerError('WRONG_STATE', `VM ${vm.name} runs, but banger could not adopt it and tries again: ${reason}`, {
          remedy: `banger vm kill ${vm.name}`,
          details: { vm: vm.name, adopted: false },
        });
      }
      throw new BangerError('WRONG_STATE', `VM ${vm.name} is not running`, { remedy: `banger vm start ${vm.name}` });
    },
    remove(vmId: string): void {
      live.get(vmId)?.companions.abort();
      live.delete(vmId);
      left.delete(vmId);
      changes.tell(vmId);
    },
    /** @param listener told the id of every VM that is held from now on, or no more @returns what ends it */
    onChange: (listener: (vmId: string) => void) => changes.add(listener),
    /** Releases every VMM without touching it, when the daemon ends. */
    detachAll(): void {
      for (const { machine, companions } of live.values()) {
        companions.abort();
        machine.detach();
      }
      live.clear();
      left.clear();
    },
  };
}
