// The meaning of each key of config.toml, besides what the schema says.
import { configKeys, environmentName, loadConfig } from '../../src/daemon/config.ts';
import { keyOf } from '../../src/daemon/setting-defaults.ts';
import { formatSize } from '../../src/lib/size.ts';
import { allSettings } from '../../src/model/settings/all.ts';

const MEANINGS: Readonly<Record<string, string>> = {
  hypervisor: 'auto, firecracker or qemu; auto takes the first that works on this host',
  accelerator: 'auto, kvm or tcg; asking for one that does not work is an error',
  bundle: 'absolute path of the runtime bundle; default: the usual places',
  log_level: 'debug, info, warn or error',
  stop_grace_seconds: 'time for a guest to shut down before banger ends it by force, 0 to 3600',
  boot_timeout_seconds: 'time for the guest agent to answer after a start, 5 to 3600',
  auto_stop_stale_after: 'stop a VM that nobody used for this long, such as 12h; or off',
  on_host_shutdown: 'what happens to running VMs before the host shuts down: leave (they end without warning), stop or suspend',
  host_shutdown_seconds: 'time for that, 10 to 3600; VMs that cannot be suspended in it are stopped',
  reserved_space: 'size that must stay free on the file system of the state directory',
  'defaults.image': 'image of VMs created without --image',
  ...settingMeanings(),
  'trust.ca_file': "PEM file of authorities for --host-ca and banger's own downloads; default: those an administrator added to this host",
  'trust.http_proxy': "http proxy for --host-proxy and banger's own downloads; default: the variable http_proxy",
  'trust.https_proxy': 'the same for https',
  'trust.no_proxy': 'hosts to reach without the proxy, separated by commas; default: the variable no_proxy',
  'network.mode': 'auto, private (no root needed), bridge (needs banger setup) or another driver by name',
  'network.share': 'users of this host who reach ports of VMs and the HTTP front: me (and root) or everyone',
  'storage.driver': 'auto, dm-snapshot, reflink, qcow2 or copy',
  'firecracker.path': 'absolute path of the Firecracker program',
  'provision.npm_registry': "npm registry for image build; default: npm's own",
  'provision.git_mirror': 'git server that image build clones from',
  'void.mirror': 'package mirror for image build --distribution void',
  'void.keys': 'directory of additional public keys (*.pem) that may sign packages of Void',
  'templates.enabled': 'whether vm create goes on from a template instead of booting, where it can',
  'templates.budget': 'size that all templates together may take on the disk',
  'templates.pool': 'number of finished clones that wait for the next vm create',
  'helper.socket': 'socket of the root helper that banger setup installs',
  'dns.address': 'address of the name server for .vm',
  'dns.port': 'port of the name server, UDP and TCP',
  'http.enabled': 'whether the HTTP front leads http://NAME.vm and http://PORT.NAME.vm to VMs',
  'http.address': 'loopback address of the HTTP front',
  'http.port': 'port of the HTTP front',
  'http.wake': 'whether the page of a stopped VM has a button that starts it',
  'dns.enabled': 'whether the daemon answers names under .vm',
};

function settingMeanings(): Record<string, string> {
  const pairs = allSettings().map(([, setting]): [string, string] => {
    const { flag } = setting;
    const meaning =
      setting.kind === 'switch'
        ? `whether VMs created without --${flag} or --no-${flag} ${setting.claim}`
        : `${setting.name} of VMs created without --${flag}`;
    return [`defaults.${keyOf(setting)}`, meaning];
  });
  return Object.fromEntries(pairs);
}

export type ConfigKey = { key: string; environment: string; default: string; meaning: string };

/** @returns every key of the schema. @throws if a key has no meaning here, or a meaning has no key */
export function configReference(): ConfigKey[] {
  const drivers = { hypervisors: [], networks: [], storages: [] };
  const { config } = loadConfig('/dev/null', {}, drivers);
  const keys = configKeys();
  const strays = Object.keys(MEANINGS).filter((key) => !keys.includes(key));
  if (strays.length > 0) throw new Error(`tools/docs/config-keys.ts explains what is no key: ${strays.join(', ')}`);
  return keys.map((key) => {
    const meaning = MEANINGS[key];
    if (meaning === undefined) throw new Error(`say in tools/docs/config-keys.ts what ${key} means`);
    return { key, environment: environmentName(key), default: shown(key, valueAt(config, key)), meaning };
  });
}

function valueAt(tree: unknown, key: string): unknown {
  return key.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], tree);
}

function shown(key: string, value: unknown): string {
  if (value === undefined) return 'not set';
  if (value === null) return 'off';
  if (typeof value === 'number' && /(_size|memory|_space|budget)$/.test(key)) return formatSize(value);
  return `${value as string | number | boolean}`;
}
