import type { ForwardResult, GuestListener } from '../drivers/network/contract.ts';
import type { GuestPort } from '../guest/protocol.ts';
import type { LiveMachine } from '../context/machines.ts';
import type { ReachablePort } from '../names/names.ts';
import type { VmContext } from '../context/vm-context.ts';
import type { PortForward } from '../model/vm.ts';
import type { Capability } from '../context/capability.ts';
import { isLeftReachable } from '../model/vm-sleep.ts';
import { messageOf } from '../lib/message-of.ts';

/** The delay after a lost watch (the guest agent restarted, or the channel broke). */
const RETRY_MS = 1000;

/** Makes ports that open in the guest reachable on the VM's loopback address until they close; also opens the user's forwards. */
export const ports: Capability = {
  name: 'ports',
  traits: { forPeople: true },
  afterStart: {
    name: 'ports',
    title: 'port forwards',
    async apply(context) {
      const live = context.services.vms.machines.find(context.vm.id);
      if (live === undefined) return;
      if (context.vm.forwards.length > 0) await openForwards(context, live);
      void follow(context, live);
    },
    async undo(context) {
      const { services, recorded, addressOnHost, vm, network } = context;
      const live = services.vms.machines.find(vm.id);
      live?.companions.abort();
      if (isLeftReachable(vm)) return;
      services.vms.names.setPorts(addressOnHost, []);
      if (live !== undefined) await recorded.network?.setForwards(network, [], live.machine);
    },
  },
};

/** Opens forwards before the guest listens. If another program has a port, banger reports it and goes on with the start. */
async function openForwards(context: VmContext, live: LiveMachine): Promise<void> {
  try {
    for (const { problem } of await reachPorts(context, live))
      if (problem !== undefined) context.operation.log(`a forward is not open: ${problem}`);
  } catch (error) {
    context.operation.log(`forwards are not open: ${messageOf(error)}`);
  }
}

/**
 * Makes the guest's listeners and the user's forwards reachable, one change at a time.
 * @param guestPorts the guest's present listeners; default: the last known ones
 * @returns one result for each listener and forward
 * @throws NETWORK_FAILED
 */
export function reachPorts(context: VmContext, live: LiveMachine, guestPorts?: readonly GuestPort[]): Promise<readonly ForwardResult[]> {
  const { services, vm, network } = context;
  const { reach } = live;
  const work = reach.turn.then(async () => {
    if (live.companions.signal.aborted) return [];
    reach.guestPorts = guestPorts ?? reach.guestPorts;
    const forwards = services.vms.records.find(vm.id)?.forwards ?? [];
    const wanted = [...listenersOf(reach.guestPorts), ...forwards.map(listenerOf)];
    reach.results = await context.drivers.network.setForwards(network, wanted, live.machine);
    services.vms.names.setPorts(context.addressOnHost, reachable(reach.results));
    return reach.results;
  });
  reach.turn = work.catch(() => undefined);
  return work;
}

/** @returns the forward in the form of the network contract */
export function listenerOf({
  protocol,
  guestPort,
  hostAddress,
  hostPort,
}: PortForward): Required<GuestListener> & { at: { address: string; port: number } } {
  return { protocol, port: guestPort, at: { address: hostAddress, port: hostPort } };
}

/** @returns the guest's own TCP ports that the host reaches */
export function reachable(results: readonly ForwardResult[]): ReachablePort[] {
  return results.flatMap(({ protocol, port, hostPort, at }) =>
    protocol === 'tcp' && at === undefined && hostPort !== null ? [{ guestPort: port, hostPort }] : [],
  );
}

async function follow(context: VmContext, live: LiveMachine): Promise<void> {
  const { signal } = live.companions;
  while (!signal.aborted) {
    try {
      await watchOnce(context, live, signal);
    } catch (error) {
      if (signal.aborted) return;
      const reason = messageOf(error);
      context.services.world.warn('the watch of guest ports broke', { vm: context.vm.name, reason });
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
  }
}

async function watchOnce(context: VmContext, live: LiveMachine, signal: AbortSignal): Promise<void> {
  const { services, vm } = context;
  const forward = async (guestPorts: GuestPort[]): Promise<void> => {
    try {
      for (const { problem, ...facts } of await reachPorts(context, live, guestPorts)) {
        if (problem !== undefined) services.world.warn('a guest port could not be forwarded', { vm: vm.name, problem, ...facts });
      }
    } catch (error) {
      services.world.warn('forwarding failed', { vm: vm.name, error: String(error) });
    }
  };
  const session = await live.agent.watch({ ports: forward, clockSet: () => live.clockSets.tell() }, { signal });
  const close = (): void => session.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    await session.exit;
  } finally {
    signal.removeEventListener('abort', close);
  }
}

/**
 * Selects the listeners to forward: those that accept connections to the guest's address. Listeners on the guest's loopback stay inside the
 * guest; a service on both IPv4 and IPv6 counts once.
 */
export function listenersOf(guestPorts: readonly GuestPort[]): GuestListener[] {
  const seen = new Map<string, GuestListener>();
  for (const { protocol, port, address } of guestPorts) {
    if (address.startsWith('127.') || address === '::1') continue;
    seen.set(`${protocol}/${port}`, { protocol, port });
  }
  return [...seen.values()];
}
