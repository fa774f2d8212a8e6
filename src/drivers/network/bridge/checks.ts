import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { HOST_BRIDGE } from '../../../model/network.ts';
import type { Finding } from '../../../model/finding.ts';
import type { BridgeHelper } from './helper-list.ts';
import { type HelperList, parseList } from './helper-list.ts';

/** Asks the helper what this host lets guests do; changes nothing. */
export async function bridgeNetworkChecks(host: Pick<Host, 'readWriteProblem'>, helper: BridgeHelper): Promise<Finding[]> {
  try {
    const list = parseList(await helper.ask('list'));
    return [judgeTun(await host.readWriteProblem('/dev/net/tun')), ...judgeNetwork(list)];
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    return [{ name: 'network.bridge', level: 'fail', reason: error.message, remedy: error.remedy ?? 'sudo banger setup' }];
  }
}

/** A VMM without any capability opens the user's TAP through this node. */
function judgeTun(problem: string | undefined): Finding {
  const name = 'network.bridge';
  if (problem === undefined) return { name, level: 'pass', reason: 'the root helper answers and TAPs can be opened' };
  return {
    name,
    level: 'fail',
    reason: `/dev/net/tun cannot be opened (${problem})`,
    remedy: 'sudo modprobe tun && sudo chmod 0666 /dev/net/tun',
  };
}

/** @returns what guests will lack, with the remedy */
export function judgeNetwork({ taps, uplink, resolver, droppedBy }: HelperList): Finding[] {
  const findings: Finding[] = [];
  const warn = (what: string, reason: string, remedy: string): void =>
    void findings.push({ name: `network.bridge.${what}`, level: 'warn', reason, remedy });
  if (uplink === undefined) {
    warn('uplink', 'there is no default route, so guests reach nothing outside', 'connect this host; ip route show default');
  }
  if (resolver === undefined) {
    const reason = 'every name server of this host is on its loopback, where guests cannot reach it, so they resolve no names';
    warn('names', reason, 'name a server with an address of the network in /etc/resolv.conf');
  }
  if (droppedBy !== undefined) warn('forward', dropReason(droppedBy), dropRemedy(droppedBy));
  const lost = taps.filter(({ isCutOff }) => isCutOff).map(({ shortId }) => `bgr-${shortId}`);
  if (lost.length > 0) {
    const reason = `${lost.join(', ')} took the hardware address of another VM and was cut off: do not trust its VM`;
    warn('tap', reason, 'stop the VM whose id begins with these digits, and examine it before you start it again');
  }
  return findings;
}

function dropReason(chain: string): string {
  return `the chain ${chain} drops packets by default, and a drop overrides banger's accept: guests may not reach the outside`;
}

function dropRemedy(chain: string): string {
  const [family, table, name] = chain.split('/');
  const rules = ['iifname', 'oifname'].map((side) => `sudo nft insert rule ${family} ${table} ${name} ${side} ${HOST_BRIDGE} accept`);
  return `let guests pass (with Docker, add the rules to its chain DOCKER-USER to keep them): ${rules.join('; ')}`;
}
