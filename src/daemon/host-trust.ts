// Reads the trust of this host: the authorities that its administrator added, and its proxies.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../host/host.ts';
import type { HostTrustSource } from '../context/services.ts';
import { BangerError } from '../model/errors.ts';
import { checkProxy, parseAuthorities, PAST_PROXIES, type Proxies, proxyVariables } from '../model/host-trust.ts';
import type { Config } from './config.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where administrators add authorities: update-ca-certificates(8) of Debian, Alpine and Void; update-ca-trust(8) of Fedora, Arch, SUSE. */
const ANCHORS = [
  '/usr/local/share/ca-certificates',
  '/etc/pki/ca-trust/source/anchors',
  '/etc/ca-certificates/trust-source/anchors',
  '/etc/pki/trust/anchors',
];
const IS_CERTIFICATE = /\.(crt|pem|cer|der)$/;

type Namer = Pick<Host, 'namesIn'>;

/** Reads both each time, so that a guest that starts today gets a certificate that was added yesterday. */
export function createHostTrust(
  { trust }: Pick<Config, 'trust'>,
  host: Namer,
  env: Environment = process.env,
  anchors = ANCHORS,
): HostTrustSource {
  return {
    async certificates() {
      const paths = trust.ca_file === undefined ? await filesIn(host, anchors) : [trust.ca_file];
      const all = await Promise.all(paths.map(async (path) => parseAuthorities(await readCertificates(path), path)));
      const found = [...new Set(all.flat())];
      if (found.length > 0) return found;
      throw new BangerError('NOT_FOUND', `no certificate authority was added to this host (looked in ${anchors.join(', ')})`, {
        remedy: 'set trust.ca_file in config.toml to a file of certificates',
      });
    },
    proxyVariables() {
      const found = proxyVariables(proxiesOf(trust, env));
      if (Object.keys(found).length > 0) return found;
      throw new BangerError('NOT_FOUND', "this host has no proxy, neither in config.toml nor in the daemon's environment", {
        remedy: 'set trust.http_proxy and trust.https_proxy in config.toml',
      });
    },
  };
}

async function readCertificates(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new BangerError('CONFIG_INVALID', `${path} cannot be read: ${code ?? String(error)}`, { remedy: `ls -l ${path}`, cause: error });
  }
}

async function filesIn({ namesIn }: Namer, directories: readonly string[]): Promise<string[]> {
  const names = await Promise.all(
    directories.map(async (directory) =>
      (await namesIn(directory)).filter((name) => IS_CERTIFICATE.test(name)).map((name) => join(directory, name)),
    ),
  );
  return names.flat().toSorted();
}

function proxiesOf(trust: Config['trust'], env: Environment): Proxies {
  const value = (name: string): string | null =>
    [env[name], env[name.toUpperCase()]].find((text) => text !== undefined && text !== '') ?? null;
  return {
    http: trust.http_proxy ?? value('http_proxy'),
    https: trust.https_proxy ?? value('https_proxy'),
    none: trust.no_proxy ?? value('no_proxy'),
  };
}

/**
 * Makes the daemon itself download like the programs of this host: through its proxies, and trusting `trust.ca_file`. Its child processes
 * inherit the proxies. A proxy on loopback is fine for this.
 * @throws CONFIG_INVALID
 */
export async function trustHost({ trust }: Pick<Config, 'trust'>, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { http, https, none } = proxiesOf(trust, env);
  for (const [name, value] of Object.entries({ http_proxy: http, https_proxy: https, no_proxy: none })) {
    if (value === null) continue;
    if (name !== 'no_proxy') refuseBad(value, name);
    env[name] = value;
  }
  if (http !== null || https !== null) {
    const { setGlobalProxyFromEnv } = await import('node:http');
    const past = [...(none === null ? [] : [none]), ...PAST_PROXIES].join(',');
    setGlobalProxyFromEnv({ http_proxy: http ?? '', https_proxy: https ?? '', no_proxy: past });
  }
  if (trust.ca_file === undefined) return;
  const own = parseAuthorities(await readCertificates(trust.ca_file), trust.ca_file);
  const { getCACertificates, setDefaultCACertificates } = await import('node:tls');
  setDefaultCACertificates([...getCACertificates('default'), ...own]);
}

function refuseBad(value: string, name: string): void {
  try {
    checkProxy(value, name);
  } catch (error) {
    if (error instanceof BangerError && error.code === 'UNSUPPORTED') return;
    throw error;
  }
}
