import { reachPorts } from './ports.ts';
import type { Capability } from '../context/capability.ts';
import type { LiveMachine } from '../context/machines.ts';
import type { VmContext } from '../context/vm-context.ts';
import type { GuestPort } from '../guest/protocol.ts';
import { messageOf } from '../lib/message-of.ts';
import { isLeftReachable } from '../model/vm-sleep.ts';
import type { ReachablePort } from '../names/names.ts';

/** While a VM sleeps because nobody used it, the host listens in its stead. When it wakes, those who called are let through. */
export const idle: Capability = {
  name: 'idle',
  traits: { forPeople: true },
  afterStart: {
    name: 'idle',
    title: 'ports in its stead',
    isDone: ({ services, vm }) => !services.vms.standIns.has(vm.id),
    async apply(context) {
      const live = context.services.vms.machines.find(context.vm.id);
      if (live !== undefined && context.services.vms.standIns.has(context.vm.id)) await listenAgain(context, live);
    },
    async undo({ services, vm }) {
      if (!isLeftReachable(vm)) await services.vms.standIns.end(vm.id);
    },
  },
};

/** Gives a guest its ports back, and lets those through who called meanwhile. */
export async function listenAgain(context: VmContext, live: LiveMachine): Promise<void> {
  const standIn = context.services.vms.standIns.take(context.vm.id);
  await standIn?.close();
  try {
    await reachPorts(context, live, knownPorts(live, standIn?.ports ?? []));
  } finally {
    standIn?.letThrough();
  }
}

/** A guest that was restored tells its listeners half a second later; until then they are as they were. */
function knownPorts({ reach }: LiveMachine, ports: readonly ReachablePort[]): readonly GuestPort[] {
  if (reach.guestPorts.length > 0) return reach.guestPorts;
  return ports.map(({ guestPort }) => ({ protocol: 'tcp', address: '0.0.0.0', port: guestPort, pid: 0, process: '', command: '' }));
}

/**
 * Keeps the name of a VM that sleeps, and listens in its stead if any use wakes it. Repeatable.
 * @returns the places that could not be taken, and why
 */
export async function standBy({ services, vm, addressOnHost }: VmContext): Promise<readonly string[]> {
  await services.vms.names.set(vm.name, addressOnHost);
  if (vm.sleep?.why !== 'idle') return [];
  const { ports } = vm.sleep;
  const own = addressOnHost.startsWith('127.') ? ports.map(({ hostPort }) => ({ address: addressOnHost, port: hostPort })) : [];
  const asked = vm.forwards.filter(({ protocol }) => protocol === 'tcp').map((one) => ({ address: one.hostAddress, port: one.hostPort }));
  services.vms.names.setPorts(addressOnHost, ports);
  return services.vms.standIns.begin(vm.id, ports, [...own, ...asked]);
}

/** The same in place of an earlier daemon, which goes on without what fails. */
export async function standByAgain(context: VmContext): Promise<void> {
  const { warn } = context.services.world;
  const { name } = context.vm;
  try {
    const problems = await standBy(context);
    if (problems.length > 0) warn('some connections do not wake a VM', { vm: name, problems });
  } catch (error) {
    warn('connections do not wake a VM', { vm: name, reason: messageOf(error) });
  }
}
