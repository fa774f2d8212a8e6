// What a guest can get of its host's trust: certificates of additional authorities, and proxies. Pure rules.
import { X509Certificate } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { BangerError } from './errors.ts';

/** Addresses of proxies, and the destinations that bypass them; null: none. */
export type Proxies = { http: string | null; https: string | null; none: string | null };

/** No administrator adds more; a distribution's whole bundle has about 140. */
const MOST_CERTIFICATES = 400;
const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/**
 * @param content PEM with one certificate or more, or a single one as DER
 * @param path of the file, for people
 * @returns the certificates, each as plain PEM
 * @throws CONFIG_INVALID for anything but certificates of authorities, in particular for a private key, which no guest may get
 */
export function parseAuthorities(content: Buffer, path: string): string[] {
  const blocks = [...content.toString('latin1').matchAll(PEM)];
  const wrong = (reason: string): BangerError =>
    new BangerError('CONFIG_INVALID', `${path} ${reason}`, {
      remedy: 'write the certificates of the authorities to it, as PEM',
      details: { path },
    });
  if (blocks.some(([, label = '']) => label.includes('PRIVATE KEY'))) throw wrong('contains a private key, which no guest may get');
  const sources =
    blocks.length === 0
      ? [content]
      : blocks.filter(([, label]) => /^(TRUSTED |X509 )?CERTIFICATE$/.test(label ?? '')).map(([text]) => text);
  if (sources.length === 0 || sources.length > MOST_CERTIFICATES) throw wrong(`holds ${sources.length} certificates`);
  return sources.map((source, at) => {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(source);
    } catch {
      throw wrong(blocks.length === 0 ? 'holds no certificate' : `: its certificate ${at + 1} cannot be read`);
    }
    const subject = certificate.subject.replaceAll('\n', ', ');
    if (!certificate.ca) throw wrong(`: its certificate ${at + 1} (${subject}) is not an authority's`);
    return `${certificate.toString().trim()}\n`;
  });
}

/** A proxy's address may contain a name and a password, but no character that ends a line, a word or quotes in a file of variables. */
const UNWRITABLE = /[\s"'`\\$#<>]|[^\u0021-\u007e]/;

/**
 * @param text of a variable such as https_proxy; without a scheme, programs assume http
 * @param name of that variable or key, for people
 * @returns the address in a form that all programs understand
 * @throws CONFIG_INVALID if it is malformed; UNSUPPORTED if no guest reaches it
 */
export function checkProxy(text: string, name: string): string {
  const url = UNWRITABLE.test(text) ? null : URL.parse(text.includes('://') ? text : `http://${text}`);
  // It may contain a password, so the error does not repeat it.
  if (url === null || url.hostname === '' || !/^(https?|socks[45]h?|socks):$/.test(url.protocol)) {
    throw new BangerError('CONFIG_INVALID', `${name} is not the address of a proxy`, {
      remedy: `set ${name} to something like http://proxy.example.org:3128`,
    });
  }
  if (isLoopback(url.hostname)) {
    throw new BangerError('UNSUPPORTED', `${name} is a proxy on the loopback of this host (${url.host}), which no guest reaches`, {
      // The configuration takes precedence over the environment, from which the address may come.
      remedy: `let the proxy listen on another address of this host, and set trust.${name} in config.toml`,
    });
  }
  return text.includes('://') ? text : `http://${text}`;
}

function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Destinations that always bypass the proxies: guests, and loopback. */
export const PAST_PROXIES = ['localhost', '127.0.0.1', '::1', '.vm', '10.213.0.0/16', '127.213.0.0/16'];

/** @returns variables in both spellings, since programs read only one of them. @throws CONFIG_INVALID, UNSUPPORTED */
export function proxyVariables({ http, https, none }: Proxies): Record<string, string> {
  const values: Record<string, string> = {};
  if (http !== null) values['http_proxy'] = checkProxy(http, 'http_proxy');
  if (https !== null) values['https_proxy'] = checkProxy(https, 'https_proxy');
  if (Object.keys(values).length === 0) return {};
  const past = (none ?? '').split(',').map((word) => word.trim());
  if (past.some((word) => UNWRITABLE.test(word) && word !== '')) {
    throw new BangerError('CONFIG_INVALID', 'no_proxy is not a list of hosts', { remedy: 'set no_proxy to hosts separated by commas' });
  }
  values['no_proxy'] = [...new Set([...past, ...PAST_PROXIES])].filter((word) => word !== '').join(',');
  return { ...values, ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toUpperCase(), value])) };
}

const BEGIN = '# banger begin: lines up to the end mark are replaced at every start';
const END = '# banger end';

/** @returns `text` with banger's block replaced by `lines`, or removed; everything else stays as it is */
export function withBlock(text: string, lines: readonly string[]): string {
  const rest = text.replace(/^# banger begin[^\n]*\n(?:(?!# banger end)[^\n]*\n)*# banger end[^\n]*\n?/gm, '');
  if (lines.length === 0) return rest;
  return `${rest}${rest === '' || rest.endsWith('\n') ? '' : '\n'}${[BEGIN, ...lines, END].join('\n')}\n`;
}
