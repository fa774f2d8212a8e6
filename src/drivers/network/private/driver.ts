import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { GUEST_MTU } from '../../../model/network.ts';
import type { NetworkAttachment, NetworkDriver, NetworkVm } from '../contract.ts';
import { guestConfigOf } from '../guest-config.ts';
import { privateNetworkChecks } from './checks.ts';
import { oneOf } from '../control-client.ts';
import type { Share } from '../forwarder-process.ts';
import { applyForwards, parseForwards, tryForward } from '../forwards.ts';
import { createHolder, type Holder } from './holder.ts';
import { admitGuest, dismissGuests, parseGuests, tapNameOf } from './ruleset.ts';

export type PrivateNetworkOptions = {
  host: Host;
  /** Absolute path of banger-forwarder. */
  forwarderPath: string;
  /** Exists, 0700, one per daemon; short enough for a socket path. Holds all files of this driver. */
  runtimeDirectory: string;
  /** Which users of this host reach ports of VMs; default: the owner and root. */
  share?: Share;
};

/**
 * The rootless network: one user and network namespace for all VMs of a daemon, held by banger-forwarder, which also makes their
 * connections to the outside. Each attach and detach costs one external command; forwards cost none.
 */
export function createPrivateNetwork(options: PrivateNetworkOptions): NetworkDriver {
  const { host, forwarderPath } = options;
  const holder = createHolder({ host, forwarderPath, directory: options.runtimeDirectory, share: options.share ?? 'me' });
  const askOne = oneOf(holder.ask);

  const attach = async (vm: NetworkVm, signal: AbortSignal): Promise<NetworkAttachment> => {
    const { innerPid } = await holder.ensure(signal);
    const tapName = tapNameOf(vm.shortId);
    try {
      await askOne(`tap add ${tapName}`);
      await holder.nft(innerPid, admitGuest(vm.shortId, vm.addresses, vm.nat), signal);
    } catch (error) {
      await detach(vm);
      throw error;
    }
    return { ...attachmentOf(vm, [forwarderPath, 'enter', String(innerPid)]), networkPid: innerPid };
  };

  const detach: NetworkDriver['detach'] = async ({ shortId, addresses }) => {
    const info = await holder.find();
    // Without the holder, everything that it made is gone.
    if (info === undefined) return;
    await askOne(`forget ${addresses.guestAddress}`);
    await askOne(`tap delete ${tapNameOf(shortId)}`);
    await holder.nft(info.innerPid, dismissGuests([{ tapName: tapNameOf(shortId), ...addresses }]));
  };

  const sweep: NetworkDriver['sweep'] = async (alive) => {
    const info = await holder.find();
    if (alive.length === 0) return holder.end();
    if (info === undefined) return;
    const taps = new Set(alive.map((vm) => tapNameOf(vm.shortId)));
    const addresses = new Set(alive.map((vm) => vm.addresses.guestAddress));
    const made = (await askOne('tap list')).map((line) => line.replace(/^tap /, ''));
    for (const name of made) if (!taps.has(name)) await askOne(`tap delete ${name}`);
    const forwarded = parseForwards(await askOne('list')).map((f) => f.guestAddress);
    for (const address of new Set(forwarded)) if (!addresses.has(address)) await askOne(`forget ${address}`);
    const admitted = parseGuests(await holder.listGuests(info.innerPid));
    const dismissed = admitted.filter((guest) => !taps.has(guest.tapName) && !addresses.has(guest.guestAddress));
    if (dismissed.length > 0) await holder.nft(info.innerPid, dismissGuests(dismissed));
  };

  return {
    name: 'private',
    kind: 'tap',
    addressOnHost: (addresses) => addresses.loopbackAddress,
    checks: async () => ({ findings: await privateNetworkChecks(host, forwarderPath) }),
    ensure: async (signal) => void (await holder.ensure(signal)),
    attach,
    detach,
    isAttached: async ({ shortId }) => (await askOne('tap list')).includes(`tap ${tapNameOf(shortId)}`),
    sweep,
    setNat: async (vm) => {
      const { innerPid } = await holder.ensure(new AbortController().signal);
      await holder.nft(innerPid, admitGuest(vm.shortId, vm.addresses, vm.nat));
      return guestConfigOf(vm);
    },
    nameGuest: ({ addresses }, name) => nameGuest(holder, addresses.guestAddress, name),
    setForwards: async (vm, listeners) => {
      if ((await holder.find()) === undefined) throw holderEnded(holder);
      return applyForwards(holder.ask, vm.addresses, listeners);
    },
    probeForward: async (vm, listener) => {
      // The holder knows which ports it has itself. Without it no VM runs, and any process of this user can test a port.
      if ((await holder.find()) === undefined) return host.portProblem(listener.protocol, listener.at);
      return tryForward(holder.ask, vm.addresses, listener);
    },
  };
}

function holderEnded({ logPath }: Holder): BangerError {
  return new BangerError('NETWORK_FAILED', 'the network holder has ended', { remedy: 'restart the VM', logPath });
}

/**
 * If another VM had this name, it lost it before. A holder of an earlier build does not know this request, and its guests have no names.
 */
async function nameGuest(holder: Holder, guestAddress: string, name: string | undefined): Promise<void> {
  if ((await holder.find()) === undefined) return;
  await holder.ask([`name ${guestAddress}${name === undefined ? '' : ` ${name}`}`]);
}

function attachmentOf(vm: NetworkVm, commandPrefix: readonly string[]): NetworkAttachment {
  const { shortId, addresses } = vm;
  return {
    network: { kind: 'tap', tapName: tapNameOf(shortId), macAddress: addresses.macAddress, mtu: GUEST_MTU },
    commandPrefix,
    guest: guestConfigOf(vm),
  };
}
