import { fallbackPort, isLowPort, portKey } from '../../../model/forward-ports.ts';
import { BangerError } from '../../../model/errors.ts';
import { throwIfCancelled } from '../cancelled.ts';
import { GUEST_MTU } from '../../../model/network.ts';
import type { ForwardResult, GuestListener, NetworkDriver, NetworkVm } from '../contract.ts';
import { guestConfigOf } from '../guest-config.ts';

type Verb = 'ensure' | 'attach' | 'detach' | 'setNat' | 'setForwards' | 'sweep';

/** The state of a host; pass the same value to a second driver to simulate a restart of the daemon. */
export type FakeNetworkWorld = {
  isUp: boolean;
  taps: Set<string>;
  /** Short ids of VMs that may reach the outside. */
  nat: Set<string>;
  forwards: Map<string, ForwardResult[]>;
};

export type FakeNetworkOptions = {
  world?: FakeNetworkWorld;
  /** Called before the verb does anything; throw here to make it fail. */
  before?: (verb: Verb, shortId?: string) => void | Promise<void>;
  /** Host ports that cannot be bound, by address and port. */
  isPortBusy?: (address: string, port: number) => boolean;
  /** As for an ordinary user: ports below 1024 are refused. Default true. */
  refusesLowPorts?: boolean;
};

/** @returns an empty host */
export function fakeNetworkWorld(): FakeNetworkWorld {
  return { isUp: false, taps: new Set(), nat: new Set(), forwards: new Map() };
}

/** A network in memory that behaves as the contract says. */
export function createFakeNetwork(options: FakeNetworkOptions = {}): NetworkDriver & { readonly world: FakeNetworkWorld } {
  const world = options.world ?? fakeNetworkWorld();
  const before = async (verb: Verb, shortId?: string, signal?: AbortSignal): Promise<void> => {
    if (signal !== undefined) throwIfCancelled(signal);
    await options.before?.(verb, shortId);
  };
  const admit = ({ shortId, nat }: NetworkVm): void => void (nat ? world.nat.add(shortId) : world.nat.delete(shortId));
  return {
    name: 'fake',
    kind: 'tap',
    world,
    addressOnHost: (addresses) => addresses.loopbackAddress,
    checks: async () => ({ findings: [{ name: 'network.fake', level: 'pass', reason: 'nothing is touched' }] }),
    ensure: async (signal) => {
      await before('ensure', undefined, signal);
      world.isUp = true;
    },
    attach: async (vm, signal) => {
      await before('attach', vm.shortId, signal);
      const tapName = `bgr-${vm.shortId}`;
      world.isUp = true;
      world.taps.add(tapName);
      admit(vm);
      return {
        network: { kind: 'tap', tapName, macAddress: vm.addresses.macAddress, mtu: GUEST_MTU },
        commandPrefix: [],
        guest: guestConfigOf(vm),
      };
    },
    detach: async (vm) => {
      await before('detach', vm.shortId);
      world.taps.delete(`bgr-${vm.shortId}`);
      world.nat.delete(vm.shortId);
      world.forwards.delete(vm.shortId);
    },
    isAttached: (vm) => Promise.resolve(world.taps.has(`bgr-${vm.shortId}`)),
    setNat: async (vm) => {
      await before('setNat', vm.shortId);
      admit(vm);
      return guestConfigOf(vm);
    },
    setForwards: async (vm, listeners) => {
      await before('setForwards', vm.shortId);
      if (!world.isUp) throw new BangerError('NETWORK_FAILED', 'the network is down');
      const unique = [...new Map(listeners.map((listener) => [portKey(listener), listener])).values()];
      const results = unique.map((listener) => forward(vm, listener, unique, options));
      world.forwards.set(vm.shortId, results);
      return results;
    },
    probeForward: async (_vm, { at }) => {
      if (at === undefined || options.isPortBusy?.(at.address, at.port) !== true) return undefined;
      return `another program uses ${at.address}:${at.port}`;
    },
    sweep: async (alive) => {
      await before('sweep');
      const ids = new Set(alive.map((vm) => vm.shortId));
      for (const tap of world.taps) if (!ids.has(tap.slice('bgr-'.length))) world.taps.delete(tap);
      for (const id of world.nat) if (!ids.has(id)) world.nat.delete(id);
      for (const id of world.forwards.keys()) if (!ids.has(id)) world.forwards.delete(id);
      if (alive.length === 0) world.isUp = false;
    },
  };
}

function forward(vm: NetworkVm, listener: GuestListener, all: readonly GuestListener[], options: FakeNetworkOptions): ForwardResult {
  const hostAddress = listener.at?.address ?? vm.addresses.loopbackAddress;
  const used = new Set(all.filter((other) => other.at === undefined && other.protocol === listener.protocol).map((other) => other.port));
  const isRefused = listener.at === undefined && isLowPort(listener.port) && (options.refusesLowPorts ?? true);
  const hostPort = isRefused ? fallbackPort(listener.port, used) : (listener.at?.port ?? listener.port);
  if (options.isPortBusy?.(hostAddress, hostPort) === true) {
    return { ...listener, hostAddress, hostPort: null, problem: `another program uses ${hostAddress}:${hostPort}` };
  }
  return { ...listener, hostAddress, hostPort };
}
