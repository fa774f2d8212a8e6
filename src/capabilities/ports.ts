import type { GuestListener } from '../drivers/network/contract.ts';
import type { GuestPort } from '../guest/protocol.ts';
import type { LiveMachine } from '../lifecycle/machines.ts';
import type { VmContext } from '../lifecycle/vm-context.ts';
import type { Capability } from './capability.ts';

/** Between losing the watch (the agent restarted, the channel broke) and the next try. */
const RETRY_MS = 1000;

/** Ports that open in the guest appear on the VM's loopback address, and vanish with it (6.1). */
export const ports: Capability = {
  name: 'ports',
  afterStart: {
    name: 'ports',
    title: 'port forwards',
    apply(context) {
      const live = context.services.machines.find(context.vm.id);
      if (live !== undefined) void follow(context, live);
    },
    async undo({ services, drivers, vm, network }) {
      const live = services.machines.find(vm.id);
      live?.companions.abort();
      if (live !== undefined) await drivers.network.setForwards(network, [], live.machine);
    },
  },
};

async function follow(context: VmContext, live: LiveMachine): Promise<void> {
  const { signal } = live.companions;
  while (!signal.aborted) {
    try {
      await watchOnce(context, live, signal);
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      context.services.warn('the watch of guest ports broke', { vm: context.vm.name, reason });
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
  }
}

async function watchOnce({ services, drivers, vm, network }: VmContext, live: LiveMachine, signal: AbortSignal): Promise<void> {
  // One change after the other: a later list must not be overtaken by an earlier one.
  let work = Promise.resolve();
  const forward = async (guestPorts: GuestPort[]): Promise<void> => {
    if (signal.aborted) return;
    for (const { problem, ...facts } of await drivers.network.setForwards(network, listenersOf(guestPorts), live.machine)) {
      if (problem !== undefined) services.warn('a guest port could not be forwarded', { vm: vm.name, problem, ...facts });
    }
  };
  const session = await live.agent.watchPorts(
    (guestPorts) => {
      work = work
        .then(() => forward(guestPorts))
        .catch((error: unknown) => services.warn('forwarding failed', { vm: vm.name, error: String(error) }));
    },
    { signal },
  );
  const close = (): void => session.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    await session.exit;
  } finally {
    signal.removeEventListener('abort', close);
  }
}

/**
 * Which listeners are worth a forward: those that a connection to the guest's address reaches. Loopback listeners stay the
 * guest's own affair; a service on both IPv4 and IPv6 is one.
 */
export function listenersOf(guestPorts: readonly GuestPort[]): GuestListener[] {
  const seen = new Map<string, GuestListener>();
  for (const { protocol, port, address } of guestPorts) {
    if (address.startsWith('127.') || address === '::1') continue;
    seen.set(`${protocol}/${port}`, { protocol, port });
  }
  return [...seen.values()];
}
