// Arguments of `vm forward`: [HOST:]PORT:GUESTPORT[/udp], as in docker and limactl.
import type { PortForwardBody } from '../api/port-schemas.ts';
import { BangerError } from '../model/errors.ts';

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

type Place = Omit<PortForwardBody, 'guestPort'>;

/**
 * @param address of `--address`; default 127.0.0.1
 * @throws INVALID_INPUT, USAGE when the address is named twice
 */
export function parseForward(spec: string, address: string | undefined): PortForwardBody {
  const { protocol, words } = split(spec);
  const [guest, host, named] = words.toReversed();
  if (guest === undefined || host === undefined || words.length > 3) return refuse(spec, '[ADDRESS:]PORT:GUESTPORT[/udp]');
  return { ...place(spec, protocol, named, address, host), guestPort: parsePort(spec, guest) };
}

/** The same with an optional guest port. */
export function parseForwardPlace(spec: string, address: string | undefined): Place {
  const { protocol, words } = split(spec);
  const isWhole = words.length === 3 || (words.length === 2 && !IPV4.test(words[0] ?? ''));
  const [host, named] = (isWhole ? words.slice(0, -1) : words).toReversed();
  if (host === undefined || words.length > 3) return refuse(spec, '[ADDRESS:]PORT[/udp]');
  return place(spec, protocol, named, address, host);
}

function split(spec: string): { protocol: 'tcp' | 'udp'; words: string[] } {
  const [, rest = spec, protocol = 'tcp'] = /^(.*)\/(tcp|udp)$/.exec(spec) ?? [];
  return { protocol: protocol === 'udp' ? 'udp' : 'tcp', words: rest.split(':') };
}

function place(spec: string, protocol: 'tcp' | 'udp', named: string | undefined, flag: string | undefined, port: string): Place {
  if (named !== undefined && flag !== undefined) {
    throw new BangerError('USAGE', `${JSON.stringify(spec)} and --address name two addresses`, { remedy: 'leave one of them out' });
  }
  const said = named ?? flag ?? '127.0.0.1';
  const hostAddress = said === 'localhost' ? '127.0.0.1' : said;
  if (!IPV4.test(hostAddress)) return refuse(hostAddress, 'an IPv4 address of this host, or 0.0.0.0 for all of them');
  return { protocol, hostAddress, hostPort: parsePort(spec, port) };
}

function parsePort(spec: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : refuse(spec, 'ports from 1 to 65535');
}

function refuse(value: string, allowed: string): never {
  throw new BangerError('INVALID_INPUT', `${JSON.stringify(value.slice(0, 80))} is not allowed`, {
    remedy: `give ${allowed}, for example 8080:80, 0.0.0.0:8080:80 or 5353:53/udp`,
    details: { value: value.slice(0, 80), allowed },
  });
}
