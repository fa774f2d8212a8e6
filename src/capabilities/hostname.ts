import type { Step } from '../context/pipeline.ts';
import { isHidden } from '../model/hidden.ts';
import type { VmContext } from '../context/vm-context.ts';
import type { Capability } from '../context/capability.ts';
import { tellGuest } from './tell-guest.ts';

/** The guest's identity: name, hosts file, machine id and random seed. */
export const hostname: Capability = {
  name: 'hostname',
  guestConfig(context, draft) {
    const { vm, services } = context;
    const { hostname: name, hosts } = namesOf(context);
    draft.hostname = name;
    draft.hosts.push(...hosts);
    // The VM's id is random already, and stays the same over restarts, as a machine id must.
    draft.machineId = vm.id;
    draft.randomSeed = services.world.ids.randomBase64(64);
  },
  change: { publish: ({ from, to }) => (to.name === from.name ? [] : [tellName]) },
};

/** What banger keeps for itself has no name that a guest should know. */
const NAMELESS = 'localhost';

function namesOf({ vm, network }: VmContext): { hostname: string; hosts: string[] } {
  if (isHidden(vm)) return { hostname: NAMELESS, hosts: [] };
  const address = vm.runtime?.guestAddress ?? network.addresses.guestAddress;
  return { hostname: vm.name, hosts: [`${address} ${vm.name}.vm ${vm.name}`] };
}

const tellName: Step<VmContext> = {
  name: 'hostname',
  title: 'host name',
  apply: (context) => tellGuest(context, namesOf(context)),
};
