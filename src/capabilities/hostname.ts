import type { Capability } from './capability.ts';

/** Who the guest is: name, hosts file, machine id and random seed. */
export const hostname: Capability = {
  name: 'hostname',
  guestConfig({ vm, services, network }, draft) {
    draft.hostname = vm.name;
    draft.hosts.push(`${vm.runtime?.guestAddress ?? network.addresses.guestAddress} ${vm.name}.vm ${vm.name}`);
    // The id is random already, and stays the same over restarts as a machine id must.
    draft.machineId = vm.id;
    draft.randomSeed = services.world.ids.randomBase64(64);
  },
};
