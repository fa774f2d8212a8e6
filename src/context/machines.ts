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
  /** Callbacks of those that wait for a session, the oldest first; each is called when its turn comes. */
  waiting: (() => void)[];
  /** Ends what runs beside the VM, such as the port watch. */
  companions: AbortController;
  /** The guest's listeners and where they are reachable, as last known. */
  reach: Reach;
  /** Announces that the guest's clock was set, by the host or inside. */
  clockSets: Listeners<void>;
  /** Why the network is unusable at present, if the VM was adopted without it. */
  networkProblem: string | null;
};

/** For work that begins beside a machine again after it was ended by `companions`; what the old one listened to is forgotten with it. */
export function renewCompanions(live: LiveMachine): void {
  live.companions = new AbortController();
  live.clockSets = new Listeners();
}

export type Reach = {
  guestPorts: readonly GuestPort[];
  results: readonly ForwardResult[];
  /** The end of the last change: an earlier list of ports must not overtake a later one. */
  turn: Promise<unknown>;
};

export type Machines = ReturnType<typeof createMachines>;

/**
 * The running VMs, by id. Start and adoption add to it, stop removes. Besides the VMs that it holds, it knows running VMs that could not be
 * adopted: the daemon leaves them alone, and tries again.
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
    /** @returns why the running VM is not adopted */
    whyLeft: (vmId: string): string | undefined => left.get(vmId),
    /** @throws WRONG_STATE if the VM does not run here, or is not adopted */
    get(vm: { id: string; name: string }): LiveMachine {
      const entry = live.get(vm.id);
      if (entry !== undefined) return entry;
      const reason = left.get(vm.id);
      if (reason !== undefined) {
        // A start would only repeat what has just failed, and the daemon does that by itself.
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
    /** @param listener gets the id of every VM that becomes held or is no longer held @returns a function that removes it */
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
