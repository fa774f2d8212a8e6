import type { Host } from '../../../host/host.ts';
import { portKey } from '../../../model/forward-ports.ts';
import { BangerError } from '../../../model/errors.ts';
import { GUEST_MTU, networkIndexOf } from '../../../model/network.ts';
import type { ForwardResult, GuestListener, NetworkAttachment, NetworkDriver, NetworkVm } from '../contract.ts';
import { guestConfigOf } from '../guest-config.ts';
import { oneOf } from '../control-client.ts';
import { throwIfCancelled } from '../cancelled.ts';
import { createForwarder, type Forwarder, type ForwarderHost, type Share } from '../forwarder-process.ts';
import { applyForwards, parseForwards, tryForward } from '../forwards.ts';
import { bridgeNetworkChecks } from './checks.ts';
import { parseList, parseOwnUid } from './helper-list.ts';
import type { BridgeHelper } from './helper-list.ts';

export type BridgeNetworkOptions = {
  host: Pick<Host, 'readWriteProblem' | 'portProblem'>;
  helper: BridgeHelper;
  /** Forwards ports from addresses other than the guest's own; runs only while there are such forwards. */
  forwarder: Forwarder;
  /** Which users of this host reach VMs; default: the owner and root. */
  share?: Share;
};

/** @param options.runtimeDirectory exists, 0700, one per daemon; short enough for a socket path */
export function bridgeForwarder(options: {
  host: ForwarderHost;
  forwarderPath: string;
  runtimeDirectory: string;
  share?: Share;
}): Forwarder {
  return createForwarder({
    ...{ host: options.host, program: options.forwarderPath, directory: options.runtimeDirectory, name: 'forwards' },
    share: options.share ?? 'me',
    argumentsOf: (socketPath) => ['serve-here', socketPath],
  });
}

/**
 * The host's own network: a bridge, a TAP and an address for each VM, which the root helper makes. The host reaches guests at their own
 * addresses; only forwards from other addresses need the forwarder. Each attach and detach costs one round trip to the helper.
 */
export function createBridgeNetwork({ host, helper, forwarder, share = 'me' }: BridgeNetworkOptions): NetworkDriver {
  // Idempotent. The last word of the request decides: the same request attaches, and gives or takes NAT.
  const addTap = async ({ shortId, addresses, nat }: NetworkVm): Promise<void> => {
    const words = [shortId, networkIndexOf(addresses), nat ? 'nat' : 'closed', ...(share === 'everyone' ? ['shared'] : [])];
    await helper.ask(`tap add ${words.join(' ')}`);
  };
  const removeTap = async (shortId: string): Promise<void> => void (await helper.ask(`tap remove ${shortId}`));

  return {
    name: 'bridge',
    kind: 'tap',
    addressOnHost: (addresses) => addresses.guestAddress,
    checks: async () => ({ findings: await bridgeNetworkChecks(host, helper) }),
    ensure: async (signal) => {
      throwIfCancelled(signal);
      await helper.ask('network up');
    },
    attach: async (vm, signal) => {
      throwIfCancelled(signal);
      await addTap(vm);
      return attachmentOf(vm);
    },
    detach: async ({ shortId, addresses }) => {
      if ((await forwarder.find()) !== undefined) await oneOf(forwarder.ask)(`forget ${addresses.guestAddress}`);
      await removeTap(shortId);
    },
    setNat: async (vm) => {
      await addTap(vm);
      return attachmentOf(vm).guest;
    },
    setForwards: async (vm, listeners) => {
      const { guestAddress } = vm.addresses;
      const unique = [...new Map(listeners.map((listener) => [portKey(listener), listener])).values()];
      const placed = await placeForwards(forwarder, guestAddress, unique.filter(isPlaced));
      return unique.map((listener) => placed.get(portKey(listener)) ?? { ...listener, hostAddress: guestAddress, hostPort: listener.port });
    },
    probeForward: async (vm, listener) => {
      if ((await forwarder.find()) === undefined) return host.portProblem(listener.protocol, listener.at);
      return tryForward(forwarder.ask, { guestAddress: vm.addresses.guestAddress }, listener);
    },
    sweep: async (alive) => {
      const kept = new Set(alive.map((vm) => vm.shortId));
      const ownUid = parseOwnUid(await helper.ask('hello'));
      const { taps } = parseList(await helper.ask('list'));
      for (const { shortId, uid } of taps) if (uid === ownUid && !kept.has(shortId)) await removeTap(shortId);
      await sweepForwards(forwarder, alive);
      if (alive.length === 0) await helper.ask('network down').catch(tolerateOthers);
    },
  };
}

type PlacedListener = GuestListener & { at: NonNullable<GuestListener['at']> };
const isPlaced = (listener: GuestListener): listener is PlacedListener => listener.at !== undefined;

/** @returns the result of each forward, by its key. Without a forwarder, the VM itself stays reachable. */
async function placeForwards(
  forwarder: Forwarder,
  guestAddress: string,
  wanted: readonly PlacedListener[],
): Promise<Map<string, ForwardResult>> {
  try {
    if (wanted.length > 0) await forwarder.ensure(new AbortController().signal);
    else if ((await forwarder.find()) === undefined) return new Map();
    const results = await applyForwards(forwarder.ask, { guestAddress }, wanted);
    return new Map(results.map((result) => [portKey(result), result]));
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    const problem = error.message;
    return new Map(
      wanted.map((listener) => [portKey(listener), { ...listener, hostAddress: listener.at.address, hostPort: null, problem }]),
    );
  }
}

async function sweepForwards(forwarder: Forwarder, alive: readonly Pick<NetworkVm, 'addresses'>[]): Promise<void> {
  if (alive.length === 0) return forwarder.end();
  if ((await forwarder.find()) === undefined) return;
  const askOne = oneOf(forwarder.ask);
  const kept = new Set(alive.map(({ addresses }) => addresses.guestAddress));
  const forwarded = new Set(parseForwards(await askOne('list')).map(({ guestAddress }) => guestAddress));
  for (const address of forwarded) if (!kept.has(address)) await askOne(`forget ${address}`);
}

/** The bridge is one for all users; it disappears with the last TAP. */
function tolerateOthers(error: unknown): void {
  if (!(error instanceof BangerError) || error.details?.['errno'] !== 'EBUSY') throw error;
}

function attachmentOf(vm: NetworkVm): NetworkAttachment {
  const { shortId, addresses } = vm;
  return {
    network: { kind: 'tap', tapName: `bgr-${shortId}`, macAddress: addresses.macAddress, mtu: GUEST_MTU },
    commandPrefix: [],
    // The helper's rules send the guest's questions to the host's own name server.
    guest: guestConfigOf(vm),
  };
}
