// What a guest may be given of its host's trust: certificates of authorities beyond the distribution's, and proxies. Pure rules.
import { X509Certificate } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { BangerError } from './errors.ts';

/** Addresses of proxies, and what goes past them; null: none. */
export type Proxies = { http: string | null; https: string | null; none: string | null };

/** Nobody adds so many; a whole bundle of a distribution has about 140. */
const MOST_CERTIFICATES = 400;
const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/**
 * @param content PEM with one certificate or more, or a single one as DER
 * @param path where it was read, for people
 * @returns the certificates, each as PEM and nothing beside it
 * @throws CONFIG_INVALID for what is no certificate of an authority; for a private key, which no guest must get
 */
export function parseAuthorities(content: Buffer, path: string): string[] {
  const blocks = [...content.toString('latin1').matchAll(PEM)];
  const wrong = (reason: string): BangerError =>
    new BangerError('CONFIG_INVALID', `${path} ${reason}`, {
      remedy: 'write certificates of authorities to it, as PEM',
      details: { path },
    });
  if (blocks.some(([, label = '']) => label.includes('PRIVATE KEY'))) throw wrong('holds a private key, which is given to no guest');
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
    if (!certificate.ca) throw wrong(`: its certificate ${at + 1} (${subject}) is of no authority`);
    return `${certificate.toString().trim()}\n`;
  });
}

/** A proxy may have a name and a password; characters that end a line, a word or quotes in a file of variables have no place in it. */
const UNWRITABLE = /[\s"'`\\$#<>]|[^\u0021-\u007e]/;

/**
 * @param text of a variable such as https_proxy; programs take one without a scheme for http
 * @param name of that variable or key, for people
 * @returns the address as all programs understand it
 * @throws CONFIG_INVALID for what is none; UNSUPPORTED for one that no guest reaches
 */
export function checkProxy(text: string, name: string): string {
  const url = UNWRITABLE.test(text) ? null : URL.parse(text.includes('://') ? text : `http://${text}`);
  // It may hold a password, so it is not repeated.
  if (url === null || url.hostname === '' || !/^(https?|socks[45]h?|socks):$/.test(url.protocol)) {
    throw new BangerError('CONFIG_INVALID', `${name} is not the address of a proxy`, {
      remedy: `set ${name} to something like http://proxy.example.org:3128`,
    });
  }
  if (isLoopback(url.hostname)) {
    throw new BangerError('UNSUPPORTED', `${name} is a proxy on the loopback of this host (${url.host}), which no guest reaches`, {
      // The configuration counts before the environment, from which the address may be.
      remedy: `let the proxy listen on another address of this host, and set trust.${name} in config.toml`,
    });
  }
  return text.includes('://') ? text : `http://${text}`;
}

function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Guests, and what anybody says to itself, never go by a proxy. */
export const PAST_PROXIES = ['localhost', '127.0.0.1', '::1', '.vm', '10.213.0.0/16', '127.213.0.0/16'];

/** @returns variables for both spellings, since programs look at one of them. @throws CONFIG_INVALID, UNSUPPORTED */
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

/** @returns `text` with its block of banger's replaced by `lines`, or without one; everything else stays as it is */
export function withBlock(text: string, lines: readonly string[]): string {
  const rest = text.replace(/^# banger begin[^\n]*\n(?:(?!# banger end)[^\n]*\n)*# banger end[^\n]*\n?/gm, '');
  if (lines.length === 0) return rest;
  return `${rest}${rest === '' || rest.endsWith('\n') ? '' : '\n'}${[BEGIN, ...lines, END].join('\n')}\n`;
}
