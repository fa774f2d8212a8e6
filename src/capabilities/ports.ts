import type { GuestListener } from '../drivers/network/contract.ts';
import type { GuestPort } from '../guest/protocol.ts';
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
      void follow(context);
    },
    async undo({ services, vm, network }) {
      const live = services.machines.find(vm.id);
      live?.companions.abort();
      if (live !== undefined) await services.network.setForwards(network, [], live.machine);
    },
  },
};

async function follow({ services, vm, network }: VmContext): Promise<void> {
  const live = services.machines.find(vm.id);
  if (live === undefined) return;
  const { signal } = live.companions;
  while (!signal.aborted) {
    try {
      for await (const guestPorts of live.agent.watchPorts(signal)) {
        if (signal.aborted) return;
        for (const { problem, ...forward } of await services.network.setForwards(network, listenersOf(guestPorts), live.machine)) {
          if (problem !== undefined) services.warn('a guest port could not be forwarded', { vm: vm.name, problem, ...forward });
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      services.warn('the watch of guest ports broke', { vm: vm.name, reason: error instanceof Error ? error.message : String(error) });
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
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
