import type { NetworkAttachment } from '../drivers/network/contract.ts';
import { stepResult } from '../context/step-result.ts';
import { sweepNetworks } from './sweep-networks.ts';
import type { VmContext } from '../context/vm-context.ts';
import { BangerError } from '../model/errors.ts';
import type { Step } from '../context/pipeline.ts';
import type { LifecycleServices } from '../context/services.ts';
import type { Vm } from '../model/vm.ts';
import type { Capability } from '../context/capability.ts';
import { tellGuest } from './tell-guest.ts';

/** The network attachment of this start. */
const attachment = stepResult<NetworkAttachment>('the network of the VM');

/** Connects the VM to other VMs and to the outside. */
export const network: Capability = {
  name: 'network',
  beforeStart: {
    name: 'network',
    title: 'network',
    async apply(context, signal) {
      const { services } = context;
      const { network: driver } = context.drivers;
      await driver.ensure(signal);
      const attached = await driver.attach(context.network, signal);
      attachment.set(context, attached);
      const guestAddress = attached.guest.address;
      context.update({ runtime: { bootId: services.world.processes.bootId(), ...context.vm.runtime, guestAddress } });
    },
    undo: detach,
  },
  machine(context, draft) {
    const { network: link, commandPrefix, networkPid } = attachment.get(context);
    draft.network = link;
    draft.commandPrefix = commandPrefix;
    if (networkPid !== undefined) draft.networkPid = networkPid;
  },
  guestConfig(context, draft) {
    draft.network = attachment.find(context)?.guest ?? null;
  },
  change: {
    check(services, vm, { spec }) {
      if (spec.nat !== vm.spec.nat) assertNatCanChange(services, vm, spec.nat);
    },
    make: ({ from, to, isRunning }) => (isRunning && to.spec.nat !== from.spec.nat ? [switchNat(from.spec.nat, to.spec.nat)] : []),
  },
  doctor({ vm, services }) {
    const name = vm.runtime?.networkDriver;
    if (name === undefined || services.vms.drivers.networks().some((driver) => driver.name === name)) return [];
    const reason = `${vm.name} is on the network ${name}, which is not available now`;
    return [{ name: 'network', level: 'warn', vm: vm.name, reason, remedy: `banger bundle status && banger vm restart ${vm.name}` }];
  },
};

/** Error codes which mean that the network is not available at all. */
const ABSENT = new Set<string>(['PREREQUISITE_MISSING', 'BUNDLE_MISSING', 'BUNDLE_BROKEN']);

/** The network's driver may be missing on this host. The stop succeeds all the same; a sweep removes the rest once the driver is back. */
async function detach(context: VmContext): Promise<void> {
  const { recorded, vm, services, unreleased } = context;
  const { runtime } = vm;
  try {
    await recorded.network?.detach(context.network);
  } catch (error) {
    unreleased.add('network');
    if (!(error instanceof BangerError) || !ABSENT.has(error.code)) throw error;
    services.world.warn('the network of a VM is left as it is', { vm: vm.name, network: recorded.network?.name, reason: error.message });
    services.vms.retries.begin('sweep networks', async () => {
      await services.vms.drivers.refreshNetworks(runtime);
      return sweepNetworks(services);
    });
  }
}

/** The record must not claim a network state that the running VM does not have. */
function assertNatCanChange(services: LifecycleServices, vm: Vm, nat: boolean): void {
  if (vm.state !== 'running') return;
  const driver = services.vms.drivers.of(vm.runtime).network;
  if (driver === undefined || driver.setNat !== undefined) return;
  const flag = nat ? '--nat' : '--no-nat';
  throw new BangerError('WRONG_STATE', `the network "${driver.name}" can switch NAT on or off only when a VM starts`, {
    remedy: `banger vm stop ${vm.name} && banger vm set ${vm.name} ${flag} && banger vm start ${vm.name}`,
  });
}

function switchNat(from: boolean, to: boolean): Step<VmContext> {
  const turn = async (context: VmContext, nat: boolean): Promise<void> => {
    const driver = context.drivers.network;
    if (driver.setNat === undefined) return;
    await tellGuest(context, { network: await driver.setNat({ ...context.network, nat }) });
  };
  return {
    name: 'nat',
    title: to ? 'way to the outside' : 'no way to the outside',
    apply: (context) => turn(context, to),
    undo: (context) => turn(context, from),
  };
}
