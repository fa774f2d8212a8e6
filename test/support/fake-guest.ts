import { spawnDetached, run } from '../../src/host/spawn.ts';
import { endProcess } from '../../src/host/processes.ts';
import type { ProcessIdentity } from '../../src/host/processes.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NetworkAttachment, NetworkVm } from '../../src/drivers/network/contract.ts';
import { readlinkSync } from 'node:fs';

/** Stands in for a VM: a network namespace whose one cable has the name of the VM's TAP, so that every rule applies. */
export type FakeGuest = {
  vm: NetworkVm;
  /** Runs a command in the guest as its root. @returns stdout, or the word `failed` */
  sh(script: string): Promise<string>;
  /** Starts a server in the guest. */
  serve(address: string, output: string): Promise<void>;
  end(): Promise<void>;
};

/** Plugs a guest in where the attachment's TAP was. */
export async function plugGuest(forwarder: string, vm: NetworkVm, attachment: NetworkAttachment): Promise<FakeGuest> {
  const innerPid = attachment.commandPrefix.at(-1) ?? '';
  const started: ProcessIdentity[] = [];
  const start = async (argv: string[]): Promise<ProcessIdentity> => {
    const { identity } = await spawnDetached(argv, { outputPath: '/dev/null' });
    started.push(identity);
    return identity;
  };
  const admin = [forwarder, 'enter-admin'];
  const { pid } = await start([...admin, innerPid, 'unshare', '--net', 'sleep', 'infinity']);
  const isApart = (): boolean => {
    const links = [pid, Number(innerPid), process.pid].map((id) => readlinkSync(`/proc/${id}/ns/net`));
    return new Set(links).size === 3;
  };
  while (!isApart()) await sleep(5);
  const { address, prefixLength, gateway } = attachment.guest;
  const name = `bgr-${vm.shortId}`;
  const mac = vm.addresses.macAddress;
  await run([
    ...admin,
    innerPid,
    'sh',
    '-ec',
    `ip link delete ${name}
    ip link add ${name} type veth peer name eth0 address ${mac} netns ${pid}
    ip link set ${name} master br0 up`,
  ]);
  await run([
    ...admin,
    String(pid),
    'sh',
    '-ec',
    `ip link set lo up; ip link set eth0 up; ip address add ${address}/${prefixLength} dev eth0
    ${gateway === null ? '' : `ip route add default via ${gateway}`}`,
  ]);
  return {
    vm,
    sh: async (script) => {
      try {
        return (await run([...admin, String(pid), 'sh', '-c', script], { timeoutMs: 20_000 })).stdout.trim();
      } catch {
        return 'failed';
      }
    },
    serve: async (listen, output) => {
      await start([...admin, String(pid), 'socat', `${listen},fork,reuseaddr`, output]);
      await sleep(150);
    },
    end: async () => {
      for (const identity of started.reverse()) await endProcess(identity, 200);
    },
  };
}
