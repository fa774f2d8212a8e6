import type { Capability } from './capability.ts';

/** `<name>.vm` while the VM runs (6.3). */
export const dnsName: Capability = {
  name: 'dns-name',
  afterStart: {
    name: 'dns-name',
    title: 'DNS name',
    apply: ({ vm, services, drivers, network }) => services.names.set(vm.name, drivers.network.addressOnHost(network.addresses)),
    undo: ({ vm, services }) => services.names.remove(vm.name),
  },
};
