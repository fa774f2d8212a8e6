import type { Capability } from './capability.ts';

/** `<name>.vm` while the VM runs (6.3). */
export const dnsName: Capability = {
  name: 'dns-name',
  traits: { forPeople: true },
  afterStart: {
    name: 'dns-name',
    title: 'DNS name',
    async apply({ vm, services, drivers, network, addressOnHost }) {
      await drivers.network.nameGuest?.(network, vm.name);
      await services.vms.names.set(vm.name, addressOnHost);
    },
    async undo({ vm, services, recorded, network }) {
      services.vms.names.remove(vm.name);
      await recorded.network?.nameGuest?.(network, undefined);
    },
  },
  async doctor({ vm, services, addressOnHost: address }) {
    if (vm.state !== 'running') return [];
    const answer = await services.vms.names.ask(vm.name);
    // A server that does not listen is one finding of the host's, not one for each VM.
    if (answer === undefined || answer.address === address) return [];
    const reason = `${vm.name}.vm is answered with ${answer.address ?? 'nothing'} and not with ${address}`;
    const fix = { did: `published ${vm.name}.vm as ${address}`, apply: () => services.vms.names.set(vm.name, address) };
    return [{ name: 'dns-name', level: 'warn', vm: vm.name, reason, remedy: 'banger doctor --fix', fix }];
  },
};
