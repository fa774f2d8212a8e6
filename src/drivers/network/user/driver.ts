import { fallbackPort, isLowPort, portKey } from '../../../model/forward-ports.ts';
import { throwIfCancelled } from '../cancelled.ts';
import type { Host } from '../../../host/host.ts';
import type { Finding } from '../../../model/finding.ts';
import type { Machine, UserPort } from '../../hypervisor/contract.ts';
import type { ForwardResult, GuestListener, NetworkDriver, NetworkVm } from '../contract.ts';
import { messageOf } from '../../../lib/message-of.ts';

/** Fixed by QEMU's user network (`-netdev user` defaults, qemu(1)). */
const USER_NETWORK = { address: '10.0.2.15', prefixLength: 24, gateway: '10.0.2.2', nameserver: '10.0.2.3', mtu: 1500 };

/** The fallback if user namespaces are forbidden: each VM has QEMU's own network, which makes nothing on the host. */
export function createUserNetwork({ host }: { host: Pick<Host, 'portProblem'> }): NetworkDriver {
  /** Forwards of each VM, by guest listener. Those of an earlier daemon are read once. */
  const known = new Map<string, Map<string, ForwardResult>>();
  return {
    name: 'user',
    kind: 'user',
    addressOnHost: (addresses) => addresses.loopbackAddress,
    checks: async () => ({ findings: userNetworkChecks() }),
    ensure: async (signal) => throwIfCancelled(signal),
    attach: async (vm, signal) => {
      throwIfCancelled(signal);
      return {
        network: { kind: 'user', macAddress: vm.addresses.macAddress, restricted: !vm.nat },
        commandPrefix: [],
        guest: {
          address: USER_NETWORK.address,
          prefixLength: USER_NETWORK.prefixLength,
          gateway: vm.nat ? USER_NETWORK.gateway : null,
          nameservers: vm.nat ? [USER_NETWORK.nameserver] : [],
          mtu: USER_NETWORK.mtu,
        },
      };
    },
    // The network ends with the VMM.
    detach: async (vm) => void known.delete(vm.shortId),
    setForwards: async (vm, listeners, machine) => {
      const current = known.get(vm.shortId) ?? (await forwardsOf(vm, machine));
      known.set(vm.shortId, current);
      return applyUserForwards(vm, listeners, machine, current);
    },
    probeForward: (_vm, listener) => host.portProblem(listener.protocol, listener.at),
    sweep: async (alive) => {
      const ids = new Set(alive.map((vm) => vm.shortId));
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
    },
  };
}

/** @returns what works, and what is missing compared with the private network */
export function userNetworkChecks(): Finding[] {
  return [
    {
      name: 'network.user',
      level: 'warn',
      reason: "QEMU's user network: VMs do not see each other, and a guest can reach services on the host's loopback through 10.0.2.2",
      remedy: 'repair the private network: its own finding says what is wrong',
    },
  ];
}

/** Forwards of an earlier daemon that are still wanted continue without a break; the others are closed. */
async function forwardsOf(vm: NetworkVm, machine: Machine): Promise<Map<string, ForwardResult>> {
  const open = (await machine.listUserPorts?.()) ?? [];
  return new Map(
    open.map(({ protocol, hostAddress, hostPort, guestPort }) => {
      const isPlaced = hostAddress !== vm.addresses.loopbackAddress;
      const at = isPlaced ? { at: { address: hostAddress, port: hostPort } } : {};
      const forward: ForwardResult = { protocol, port: guestPort, hostAddress, hostPort, ...at };
      return [portKey(forward), forward];
    }),
  );
}

async function applyUserForwards(
  vm: NetworkVm,
  listeners: readonly GuestListener[],
  machine: Machine,
  current: Map<string, ForwardResult>,
): Promise<ForwardResult[]> {
  const wanted = new Map(listeners.map((listener) => [portKey(listener), listener]));
  for (const [key, forward] of current) {
    const isTakenByReal =
      forward.at === undefined &&
      forward.hostPort !== forward.port &&
      wanted.has(portKey({ protocol: forward.protocol, port: forward.hostPort ?? 0 }));
    if (wanted.has(key) && !isTakenByReal && forward.hostPort !== null) continue;
    current.delete(key);
    if (forward.hostPort !== null) await machine.removeUserPort?.(userForward(vm, forward, forward.hostPort));
  }
  // High ports first, so that substitutes for low ones find free numbers.
  const missing = [...wanted.values()].filter((listener) => !current.has(portKey(listener))).sort((a, b) => b.port - a.port);
  for (const listener of missing) current.set(portKey(listener), await addForward(vm, listener, machine, current, wanted));
  return [...wanted.keys()].flatMap((key) => current.get(key) ?? []);
}

async function addForward(
  vm: NetworkVm,
  listener: GuestListener,
  machine: Machine,
  current: ReadonlyMap<string, ForwardResult>,
  wanted: ReadonlyMap<string, GuestListener>,
): Promise<ForwardResult> {
  const base = { ...listener, hostAddress: listener.at?.address ?? vm.addresses.loopbackAddress };
  if (machine.forwardUserPort === undefined) return { ...base, hostPort: null, problem: 'this VMM has no user network' };
  const used = new Set<number>();
  for (const other of wanted.values()) if (other.at === undefined && other.protocol === listener.protocol) used.add(other.port);
  for (const other of current.values())
    if (other.at === undefined && other.protocol === listener.protocol && other.hostPort !== null) used.add(other.hostPort);
  const wished = listener.at?.port ?? listener.port;
  const ports = listener.at === undefined && isLowPort(listener.port) ? [listener.port, fallbackPort(listener.port, used)] : [wished];
  let problem = '';
  for (const hostPort of ports) {
    const forward = userForward(vm, listener, hostPort);
    try {
      await machine.forwardUserPort(forward);
      return { ...base, hostPort };
    } catch (error) {
      problem = messageOf(error);
    }
  }
  return { ...base, hostPort: null, problem };
}

function userForward(vm: NetworkVm, listener: GuestListener, hostPort: number): UserPort {
  return {
    hostAddress: listener.at?.address ?? vm.addresses.loopbackAddress,
    hostPort,
    guestPort: listener.port,
    protocol: listener.protocol,
  };
}
