import type { Host } from '../../../host/host.ts';
import { portKey } from '../../../model/forward-ports.ts';
import { BangerError } from '../../../model/errors.ts';
import { BRIDGE_ADDRESS, DNS_FORWARD_ADDRESS, GUEST_MTU, GUEST_PREFIX_LENGTH, networkIndexOf } from '../../../model/network.ts';
import type { NetworkAttachment, NetworkDriver, NetworkVm } from '../contract.ts';
import { bridgeNetworkChecks } from './checks.ts';
import { parseList, parseOwnUid } from './helper-list.ts';

/** The root helper as this driver needs it: one request line, the data lines of its answer. */
export type BridgeHelper = {
  /** @throws NETWORK_FAILED with the errno's name in details.errno; PREREQUISITE_MISSING when no helper answers */
  ask(request: string): Promise<string[]>;
};

export type BridgeNetworkOptions = { host: Pick<Host, 'readWriteObstacle'>; helper: BridgeHelper };

/**
 * The network of the host itself: a bridge, a TAP and an address for each VM, made by the root helper. Guests are reached
 * at their own addresses, so nothing is forwarded. Costs one round trip to the helper for each attach and detach.
 */
export function createBridgeNetwork({ host, helper }: BridgeNetworkOptions): NetworkDriver {
  // Idempotent, and the word at its end decides: the same request attaches, and gives or takes NAT.
  const addTap = async ({ shortId, addresses, nat }: NetworkVm): Promise<void> => {
    await helper.ask(`tap add ${shortId} ${networkIndexOf(addresses)} ${nat ? 'nat' : 'closed'}`);
  };
  const removeTap = async (shortId: string): Promise<void> => void (await helper.ask(`tap remove ${shortId}`));

  return {
    name: 'bridge',
    kind: 'tap',
    addressOnHost: (addresses) => addresses.guestAddress,
    checks: () => bridgeNetworkChecks(host, helper),
    ensure: async (signal) => {
      refuseCancelled(signal);
      await helper.ask('network up');
    },
    attach: async (vm, signal) => {
      refuseCancelled(signal);
      await addTap(vm);
      return attachmentOf(vm);
    },
    detach: (vm) => removeTap(vm.shortId),
    setNat: async (vm) => {
      await addTap(vm);
      return attachmentOf(vm).guest;
    },
    setForwards: async (vm, listeners) => {
      const unique = [...new Map(listeners.map((listener) => [portKey(listener), listener])).values()];
      return unique.map(({ at, protocol, port }) => {
        // Another network may have had it; the VM itself stays reachable.
        if (at !== undefined)
          return { at, protocol, port, hostAddress: at.address, hostPort: null, problem: 'the bridge forwards nothing' };
        return { protocol, port, hostAddress: vm.addresses.guestAddress, hostPort: port };
      });
    },
    sweep: async (alive) => {
      const kept = new Set(alive.map((vm) => vm.shortId));
      const ownUid = parseOwnUid(await helper.ask('hello'));
      const { taps } = parseList(await helper.ask('list'));
      for (const { shortId, uid } of taps) if (uid === ownUid && !kept.has(shortId)) await removeTap(shortId);
      if (alive.length === 0) await helper.ask('network down').catch(tolerateOthers);
    },
  };
}

/** The bridge is one for all users; it goes with the last TAP. */
function tolerateOthers(error: unknown): void {
  if (!(error instanceof BangerError) || error.details?.['errno'] !== 'EBUSY') throw error;
}

function refuseCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new BangerError('CANCELLED', 'setting up the network was cancelled', { cause: signal.reason });
}

function attachmentOf({ shortId, addresses, nat }: NetworkVm): NetworkAttachment {
  return {
    network: { kind: 'tap', tapName: `bgr-${shortId}`, macAddress: addresses.macAddress, mtu: GUEST_MTU },
    commandPrefix: [],
    guest: {
      address: addresses.guestAddress,
      prefixLength: GUEST_PREFIX_LENGTH,
      gateway: nat ? BRIDGE_ADDRESS : null,
      // The helper's rules send this to the host's own name server.
      nameservers: nat ? [DNS_FORWARD_ADDRESS] : [],
      mtu: GUEST_MTU,
    },
  };
}
