import { isLeftReachable } from '../model/vm-sleep.ts';
import type { Step } from '../context/pipeline.ts';
import type { VmContext } from '../context/vm-context.ts';
import type { Capability } from '../context/capability.ts';

/** `<name>.vm` while the VM runs. */
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
    async undo(context) {
      const { vm, services, recorded, network } = context;
      if (isLeftReachable(vm)) return;
      services.vms.names.remove(vm.name);
      await recorded.network?.nameGuest?.(network, undefined);
    },
  },
  change: { publish: ({ from, to }) => (to.name === from.name ? [] : [publishName(from.name)]) },
  async doctor({ vm, services, addressOnHost: address }) {
    if (vm.state !== 'running') return [];
    const answer = await services.vms.names.ask(vm.name);
    // A name server that does not listen is one finding about the host, not one for each VM.
    if (answer === undefined || answer.address === address) return [];
    const reason = `${vm.name}.vm is answered with ${answer.address ?? 'nothing'} and not with ${address}`;
    const fix = { did: `published ${vm.name}.vm as ${address}`, apply: () => services.vms.names.set(vm.name, address) };
    return [{ name: 'dns-name', level: 'warn', vm: vm.name, reason, remedy: 'banger doctor --fix', fix }];
  },
};

function publishName(from: string): Step<VmContext> {
  const move = async ({ services, drivers, network, addressOnHost }: VmContext, old: string, name: string): Promise<void> => {
    services.vms.names.remove(old);
    await drivers.network.nameGuest?.(network, name);
    await services.vms.names.set(name, addressOnHost);
  };
  return {
    name: 'dns-name',
    title: 'DNS name',
    apply: (context) => move(context, from, context.vm.name),
    undo: (context) => move(context, context.vm.name, from),
  };
}
