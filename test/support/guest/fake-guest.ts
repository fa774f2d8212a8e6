import { spawnDetached, run } from '../../../src/host/spawn.ts';
import { endProcess } from '../../../src/host/processes.ts';
import type { ProcessIdentity } from '../../../src/host/processes.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NetworkAttachment, NetworkVm } from '../../../src/drivers/network/contract.ts';
import { readlinkSync } from 'node:fs';

/** Stands in for a VM: a network namespace whose only link has the name of the VM's TAP, so that every rule applies. */
export type FakeGuest = {
  vm: NetworkVm;
  /** Runs a command in the guest as its root. @returns stdout, or the word `failed` */
  sh(script: string): Promise<string>;
  /** Starts a server in the guest. */
  serve(address: string, output: string): Promise<void>;
  end(): Promise<void>;
};

/** Where guests are attached: the network namespace of a process, its bridge, and a command that enters the namespace as root. */
export type GuestPlace = { pid: number; bridge: string; enter(pid: number): string[] };

/** @returns the place inside banger-forwarder, which the attachment's command prefix names */
export function privatePlace(forwarder: string, attachment: NetworkAttachment): GuestPlace {
  return { pid: Number(attachment.commandPrefix.at(-1)), bridge: 'br0', enter: (pid) => [forwarder, 'enter-admin', String(pid)] };
}

/** @returns the place on the bridge of this process's own namespace */
export function hostPlace(): GuestPlace {
  return { pid: process.pid, bridge: 'bgr-bridge', enter: (pid) => ['nsenter', `--net=/proc/${pid}/ns/net`] };
}

/** Attaches a guest in place of the attachment's TAP. */
export async function plugGuest(place: GuestPlace, vm: NetworkVm, attachment: NetworkAttachment): Promise<FakeGuest> {
  const started: ProcessIdentity[] = [];
  const start = async (argv: string[]): Promise<ProcessIdentity> => {
    const { identity } = await spawnDetached(argv, { outputPath: '/dev/null' });
    started.push(identity);
    return identity;
  };
  const { pid } = await start([...place.enter(place.pid), 'unshare', '--net', 'sleep', 'infinity']);
  const namespaceOf = (id: number): string => readlinkSync(`/proc/${id}/ns/net`);
  const isApart = (): boolean => [place.pid, process.pid].every((id) => namespaceOf(id) !== namespaceOf(pid));
  while (!isApart()) await sleep(5);
  const { address, prefixLength, gateway } = attachment.guest;
  const name = `bgr-${vm.shortId}`;
  const mac = vm.addresses.macAddress;
  await run([
    ...place.enter(place.pid),
    'sh',
    '-ec',
    `ip link delete ${name}
    ip link add ${name} type veth peer name eth0 address ${mac} netns ${pid}
    ip link set ${name} master ${place.bridge} up`,
  ]);
  await run([
    ...place.enter(pid),
    'sh',
    '-ec',
    `ip link set lo up; ip link set eth0 up; ip address add ${address}/${prefixLength} dev eth0
    ${gateway === null ? '' : `ip route add default via ${gateway}`}`,
  ]);
  return {
    vm,
    sh: async (script) => {
      try {
        return (await run([...place.enter(pid), 'sh', '-c', script], { timeoutMs: 20_000 })).stdout.trim();
      } catch {
        return 'failed';
      }
    },
    serve: async (listen, output) => {
      await start([...place.enter(pid), 'socat', `${listen},fork,reuseaddr`, output]);
      const [, protocol = '', port = ''] = /^(TCP|UDP)-LISTEN:(\d+)/.exec(listen) ?? [];
      const look = [...place.enter(pid), 'ss', '--no-header', '--listening', `--${protocol.toLowerCase()}`, `sport = :${port}`];
      while ((await run(look)).stdout === '') await sleep(20);
    },
    end: async () => {
      for (const identity of started.reverse()) await endProcess(identity, 200);
    },
  };
}
