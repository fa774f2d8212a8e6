import type { ReachablePort } from '../names/names.ts';

/** Listens in the stead of one guest; `close` lets others listen, then the callers are let through, or refused. */
type StandIn = { readonly problems: readonly string[]; close(): Promise<void>; letThrough(): void; refuse(): void };

type Place = { address: string; port: number };

/** What stands in for one VM: the guest's ports, and who listens for them. */
type Standing = StandIn & { ports: readonly ReachablePort[] };

export type StandIns = ReturnType<typeof createStandIns>;

/**
 * Who listens in the stead of sleeping VMs, by id.
 * @param listen begins to listen, and calls back for each program that has connected
 * @param onCall gets the id of a VM that a program wants to reach
 */
export function createStandIns(listen: (places: readonly Place[], onCall: () => void) => Promise<StandIn>, onCall: (vmId: string) => void) {
  const all = new Map<string, Standing>();
  const end = async (vmId: string): Promise<void> => {
    const standing = all.get(vmId);
    all.delete(vmId);
    await standing?.close();
    standing?.refuse();
  };
  return {
    /** Begins to listen for the VM. @returns the places that could not be taken, and why */
    async begin(vmId: string, ports: readonly ReachablePort[], places: readonly Place[]): Promise<readonly string[]> {
      await end(vmId);
      const standIn = await listen(places, () => onCall(vmId));
      all.set(vmId, { ...standIn, ports });
      return standIn.problems;
    },
    /** Gives the stand-in of a VM that wakes to the caller, who closes it. */
    take(vmId: string): Standing | undefined {
      const standing = all.get(vmId);
      all.delete(vmId);
      return standing;
    },
    has: (vmId: string): boolean => all.has(vmId),
    /** Refuses those who wait for a VM that did not wake, and listens on. */
    refuse: (vmId: string): void => all.get(vmId)?.refuse(),
    end,
    async endAll(): Promise<void> {
      await Promise.all([...all.keys()].map(end));
    },
  };
}
