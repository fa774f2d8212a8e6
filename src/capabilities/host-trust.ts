// Gives a guest the trust of its host: certificate authorities that were added to it, and its proxies (--host-ca, --host-proxy).
import type { CallOptions } from '../guest/agent-call.ts';
import type { AgentClient } from '../guest/agent-client.ts';
import type { FileStatus } from '../guest/agent-replies.ts';
import type { LifecycleServices } from '../context/services.ts';
import type { VmContext } from '../context/vm-context.ts';
import { addTroubles } from '../context/guest-troubles.ts';
import { BangerError } from '../model/errors.ts';
import { withBlock } from '../model/host-trust.ts';
import type { HostTrust } from '../model/settings/host-trust.ts';
import type { Capability } from '../context/capability.ts';
import { messageOf } from '../lib/message-of.ts';

/** Only the authorities of the host, for programs such as Node that take additional authorities. */
const EXTRA_FILE = '/etc/banger-host-ca.pem';
/** The files from which programs read all authorities: Debian, Alpine, Void; Fedora; Arch; SUSE. banger does not write to links. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ca-certificates/extracted/tls-ca-bundle.pem',
  '/var/lib/ca-certificates/ca-bundle.pem',
];
/** The sources of those files, so that the guest's next update keeps banger's authorities. */
const ANCHORS = [
  '/usr/local/share/ca-certificates',
  '/etc/pki/ca-trust/source/anchors',
  '/etc/ca-certificates/trust-source/anchors',
  '/etc/pki/trust/anchors',
];
const ANCHOR_NAME = 'banger-host';
const ENVIRONMENT = '/etc/environment';
/** systemd services do not read /etc/environment. */
const SYSTEMD = '/etc/systemd/system.conf';
const APT = '/etc/apt/apt.conf.d';
const APT_NAME = '99banger-host-proxy';
const MOST_FILE_BYTES = 4 * 1024 ** 2;

/** Runs before the image's init, so that every service has it from its start. `vm set` can take it away. */
export const hostTrust: Capability = {
  name: 'host-trust',
  traits: { ofOwnSystem: true },
  checkNew: checkTrust,
  async beforeInit(context, agent, options) {
    const { vm, services } = context;
    if (!isTrusting(vm.spec)) return;
    const certificates = vm.spec.hostCa === true ? await services.world.trust.certificates() : [];
    const proxies = vm.spec.hostProxy === true ? services.world.trust.proxyVariables() : {};
    try {
      await giveTrust(agent, { certificates, proxies }, options);
    } catch (error) {
      // A full or read-only disk must not prevent the start.
      if (!(error instanceof BangerError) || error.code !== 'GUEST_FILE') throw error;
      const reason = `the guest could not get all of the host's trust: ${error.message}`;
      context.operation.log(reason);
      addTroubles(context, [{ reason, remedy: `banger vm exec ${vm.name} -- df -h / /root` }]);
    }
  },
  afterStart: {
    name: 'host-trust',
    title: 'trust of the host',
    isDone: ({ vm: { spec } }) => spec.hostCa !== false && spec.hostProxy !== false,
    async apply(context, signal) {
      const { hostCa, hostProxy } = context.vm.spec;
      try {
        await removeFiles(context, { hostCa: hostCa === false, hostProxy: hostProxy === false }, signal);
      } catch (error) {
        // A guest without a shell must still start.
        if (signal.aborted) throw error;
        context.operation.log(`files of the host's trust could not be removed from the guest: ${messageOf(error)}`);
      }
    },
  },
};

/** Collects what to give to the guest. @throws NOT_FOUND, CONFIG_INVALID, UNSUPPORTED */
export async function checkTrust({ world: { trust } }: LifecycleServices, { hostCa, hostProxy }: HostTrust): Promise<void> {
  if (hostCa === true) await trust.certificates();
  if (hostProxy === true) trust.proxyVariables();
}

/** Removes everything from a running guest: an image must not inherit the trust of the host that built it. */
export async function takeTrustBack(context: VmContext, signal: AbortSignal): Promise<void> {
  const { agent } = context.services.vms.machines.get(context.vm);
  await giveTrust(agent, { certificates: [], proxies: {} }, { signal });
  await removeFiles(context, { hostCa: true, hostProxy: true }, signal);
}

/** @returns whether the setting was ever made, so that there is something to give or to remove */
export function isTrusting({ hostCa, hostProxy }: HostTrust): boolean {
  return hostCa !== undefined || hostProxy !== undefined;
}

type Trust = { certificates: readonly string[]; proxies: Readonly<Record<string, string>> };

async function giveTrust(agent: AgentClient, { certificates, proxies }: Trust, options: CallOptions): Promise<void> {
  const guest = filesOf(agent, options);
  const lines = certificates.flatMap((pem) => pem.trimEnd().split('\n'));
  let bundle: string | undefined;
  for (const path of BUNDLES) {
    if ((await guest.typeOf(path)) !== 'file') continue;
    await guest.edit(path, lines);
    bundle ??= path;
  }
  if (certificates.length > 0) {
    await guest.put(EXTRA_FILE, certificates.join(''));
    for (const directory of ANCHORS) {
      if ((await guest.typeOf(directory)) !== 'directory') continue;
      for (const [at, pem] of certificates.entries()) await guest.put(`${directory}/${ANCHOR_NAME}-${at + 1}.crt`, pem);
    }
  }
  const all = bundle ?? EXTRA_FILE;
  const authorities = { NODE_EXTRA_CA_CERTS: EXTRA_FILE, SSL_CERT_FILE: all, REQUESTS_CA_BUNDLE: all };
  const variables = Object.entries({ ...(certificates.length === 0 ? {} : authorities), ...proxies });
  await guest.edit(
    ENVIRONMENT,
    variables.map(([name, value]) => `${name}=${value}`),
  );
  await guest.edit(SYSTEMD, systemdLines(variables), 'only if it is there');
  if ((await guest.typeOf(APT)) === 'directory' && Object.keys(proxies).length > 0)
    await guest.put(`${APT}/${APT_NAME}`, aptLines(proxies));
}

/** systemd-system.conf(5): `%` begins a specifier. */
function systemdLines(variables: readonly [string, string][]): string[] {
  const words = variables.map(([name, value]) => `"${name}=${value.replaceAll('%', '%%')}"`);
  return words.length === 0 ? [] : ['[Manager]', `DefaultEnvironment=${words.join(' ')}`];
}

function aptLines(proxies: Readonly<Record<string, string>>): string {
  const settings = (['http', 'https'] as const).flatMap((scheme) => {
    const proxy = proxies[`${scheme}_proxy`];
    return proxy === undefined ? [] : [`Acquire::${scheme}::Proxy "${proxy}";\n`];
  });
  return settings.join('');
}

function filesOf(agent: AgentClient, options: CallOptions) {
  const typeOf = async (path: string): Promise<FileStatus['type'] | undefined> => {
    try {
      return (await agent.stat(path, options)).type;
    } catch (error) {
      if (error instanceof BangerError && error.code === 'GUEST_FILE') return undefined;
      throw error;
    }
  };
  const put = (path: string, text: string, mode = 0o644): Promise<void> => {
    const bytes = Buffer.from(text, 'latin1');
    return agent.putFile(path, { content: once(bytes), sizeBytes: bytes.length, mode }, options);
  };
  return {
    typeOf,
    put,
    /** Replaces banger's block in a file. Creates the file if it is missing and the block is not empty. */
    async edit(path: string, lines: readonly string[], ifAbsent: 'make it' | 'only if it is there' = 'make it'): Promise<void> {
      const type = await typeOf(path);
      if (type !== 'file' && (type !== undefined || ifAbsent !== 'make it' || lines.length === 0)) return;
      const { text, mode } = type === 'file' ? await read(agent, path, options) : { text: '', mode: 0o644 };
      const changed = withBlock(text, lines);
      if (changed !== text) await put(path, changed, mode);
    },
  };
}

async function read(agent: AgentClient, path: string, options: CallOptions): Promise<{ text: string; mode: number }> {
  const { content, mode } = await agent.getFile(path, options);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of content) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > MOST_FILE_BYTES) throw new BangerError('GUEST_FILE', `the guest's ${path} is larger than ${MOST_FILE_BYTES} bytes`);
  }
  // Not utf8: bytes that are not valid text must stay as they are.
  return { text: Buffer.concat(chunks).toString('latin1'), mode };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Runs a command in the guest, because the guest agent cannot remove files. @throws what the agent throws; COMMAND_FAILED */
async function removeFiles(
  { vm, services }: VmContext,
  { hostCa, hostProxy }: { hostCa: boolean; hostProxy: boolean },
  signal: AbortSignal,
) {
  const paths = [
    ...(hostCa ? [EXTRA_FILE, ...ANCHORS.map((directory) => `${directory}/${ANCHOR_NAME}-*.crt`)] : []),
    ...(hostProxy ? [`${APT}/${APT_NAME}`] : []),
  ];
  const { agent } = services.vms.machines.get(vm);
  const session = await agent.openExec({ argv: ['/bin/sh', '-c', `rm -f ${paths.join(' ')}`], cwd: '/' }, { signal });
  session.stdin.end();
  session.stdout.resume();
  session.stderr.resume();
  const { status } = await session.exit;
  if (status !== 0) throw new BangerError('COMMAND_FAILED', `rm in the guest ended with status ${status}`);
}
