import type { Host } from '../../../host/host.ts';
import { BRIDGE_ADDRESS, GUEST_PREFIX_LENGTH } from '../../../model/network.ts';
import type { Finding } from '../../../model/finding.ts';
import { baseRuleset } from './ruleset.ts';
import { given } from '../../../lib/given.ts';

/** The result of `banger-forwarder probe`: its exit status (head of native/forwarder/main.c) and its last line. */
export type ProbeOutcome = { status: number | null; startError: string | undefined; message: string };

/** Facts about the host that turn a failure into a remedy. */
export type ProbeFacts = { appArmorRestricts: boolean; maxUserNamespaces: string | undefined };

/** The kernel may have to load a dozen modules for it, on a busy host. */
const PROBE_TIMEOUT_MS = 60_000;

const APPARMOR_SETTING = '/proc/sys/kernel/apparmor_restrict_unprivileged_userns';

/** Tries everything that the driver does in a namespace that it removes afterwards; reads settings only to explain a failure. */
export async function privateNetworkChecks(host: Host, forwarderPath: string): Promise<Finding[]> {
  const probe = await tryCommand(
    host,
    [forwarderPath, 'probe', BRIDGE_ADDRESS, String(GUEST_PREFIX_LENGTH), 'nft', '-f', '-'],
    baseRuleset(),
  );
  const facts: ProbeFacts = {
    appArmorRestricts: (await readSetting(host, APPARMOR_SETTING)) === '1',
    maxUserNamespaces: await readSetting(host, '/proc/sys/user/max_user_namespaces'),
  };
  return [judgeProbe(probe, facts)];
}

async function readSetting(host: Host, path: string): Promise<string | undefined> {
  return (await host.readIfThere(path).catch(() => undefined))?.trim();
}

async function tryCommand(host: Host, argv: readonly string[], input?: string): Promise<ProbeOutcome> {
  try {
    await host.run(argv, { timeoutMs: PROBE_TIMEOUT_MS, ...given({ input }) });
    return { status: 0, startError: undefined, message: '' };
  } catch (error) {
    // The shape of CommandFailure; the class itself belongs to host.
    const failure = error as { startError?: string; outcome?: { exitCode: number | null; stderr: string } };
    const message = failure.outcome?.stderr.trim().split('\n').at(-1) ?? '';
    return { status: failure.outcome?.exitCode ?? null, startError: failure.startError, message };
  }
}

/** @returns the finding on namespace, bridge, TAP and rules */
export function judgeProbe(probe: ProbeOutcome, facts: ProbeFacts): Finding {
  const name = 'network.private';
  if (probe.startError !== undefined) {
    return {
      name,
      level: 'fail',
      reason: `banger-forwarder could not be started (${probe.startError})`,
      remedy: 'banger bundle build --force',
    };
  }
  switch (probe.status) {
    case 0:
      return { name, level: 'pass', reason: 'a user namespace with bridge, TAP, TUN and nftables rules was made and removed' };
    case 100:
    case 101:
      return { name, level: 'fail', reason: probe.message, remedy: namespaceRemedy(facts) };
    case 102:
      return { name, level: 'fail', reason: probe.message, remedy: 'sudo modprobe tun && sudo chmod 0666 /dev/net/tun' };
    case 127:
      return { name, level: 'fail', reason: 'nft is not installed', remedy: 'sudo apt-get install nftables' };
    case null: {
      const reason = `the trial of the private network was ended by a signal, or took longer than ${PROBE_TIMEOUT_MS / 1000} s, for example because the host is busy`;
      return { name, level: 'fail', reason, remedy: 'try again when the host is less busy' };
    }
    default:
      return {
        name,
        level: 'fail',
        reason: `the kernel refused nftables rules: ${probe.message}`,
        remedy: 'sudo modprobe -a nf_tables nft_ct nft_tproxy',
      };
  }
}

function namespaceRemedy(facts: ProbeFacts): string {
  if (facts.appArmorRestricts) return 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0';
  if (facts.maxUserNamespaces === '0') return 'sudo sysctl -w user.max_user_namespaces=15000';
  return 'sudo sysctl -w kernel.unprivileged_userns_clone=1';
}
