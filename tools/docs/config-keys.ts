// What each key of config.toml means, beside what the schema says of it.
import { configKeys, environmentName, loadConfig } from '../../src/daemon/config.ts';
import { keyOf } from '../../src/daemon/setting-defaults.ts';
import { formatSize } from '../../src/lib/size.ts';
import { allSettings } from '../../src/model/settings/all.ts';

const MEANINGS: Readonly<Record<string, string>> = {
  hypervisor: 'auto, firecracker or qemu; auto takes the first that really works on this host',
  accelerator: 'auto, kvm or tcg; asking for one that does not work is an error',
  bundle: 'absolute path of the runtime bundle; without it the usual places are looked in',
  log_level: 'debug, info, warn or error',
  stop_grace_seconds: 'how long a guest may take to shut down before it is ended by force, 0 to 3600',
  boot_timeout_seconds: 'how long a VM may take until its agent answers, 5 to 3600',
  auto_stop_stale_after: 'a duration such as 12h, after which a VM that nobody uses is stopped, or off',
  reserved_space: 'a size: what must stay free on the file system of the state',
  'defaults.image': 'image of VMs that are created without --image',
  ...settingMeanings(),
  'trust.ca_file': 'certificates for --host-ca and for what banger fetches, PEM; without it what an administrator added to this host',
  'trust.http_proxy': 'proxy for http, of guests with --host-proxy and of what banger fetches; without it the variable http_proxy',
  'trust.https_proxy': 'the same for https',
  'trust.no_proxy': 'hosts past the proxy, with commas; without it the variable no_proxy',
  'network.mode': 'auto, private (no root needed), bridge (needs banger setup) or another driver by name',
  'network.share': 'which users of this host reach ports of VMs and the HTTP front: me (and root) or everyone',
  'storage.driver': 'auto, dm-snapshot, reflink, qcow2 or copy',
  'firecracker.path': 'absolute path of the Firecracker program',
  'provision.npm_registry': 'npm registry that image build uses in the guest; without it the usual one',
  'provision.git_mirror': 'where image build fetches git repositories from',
  'void.mirror': 'repository of Void Linux from which image build --distribution void takes packages',
  'void.keys': 'directory of further public keys, *.pem, by which packages of Void may be signed',
  'helper.socket': 'socket of the root helper that banger setup installs',
  'dns.address': 'address on which names under .vm are answered',
  'dns.port': 'port of that, UDP and TCP',
  'http.enabled': 'whether http://NAME.vm and http://PORT.NAME.vm lead into VMs',
  'http.address': 'loopback address of that HTTP front',
  'http.port': 'its port',
  'http.wake': 'whether the page of a stopped VM has a button that starts it',
  'dns.enabled': 'whether names under .vm are answered at all',
};

function settingMeanings(): Record<string, string> {
  const pairs = allSettings().map(([, setting]): [string, string] => {
    const { flag } = setting;
    const meaning =
      setting.kind === 'switch'
        ? `whether VMs that are created without --${flag} or --no-${flag} ${setting.claim}`
        : `${setting.name} of VMs that are created without --${flag}`;
    return [`defaults.${keyOf(setting)}`, meaning];
  });
  return Object.fromEntries(pairs);
}

export type ConfigKey = { key: string; environment: string; default: string; meaning: string };

/** @returns every key of the schema. @throws when one has no meaning here, or a meaning has no key */
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
  if (typeof value === 'number' && /(_size|memory|_space)$/.test(key)) return formatSize(value);
  return `${value as string | number | boolean}`;
}
