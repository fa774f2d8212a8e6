import { readFile } from 'node:fs/promises';

/** Both ends of a TCP connection as this process sees them, e.g. the properties of a `net.Socket`. */
export type ConnectionEnds = { localAddress: string; localPort: number; remoteAddress: string; remotePort: number };

/** The second table has connections over IPv6, and IPv4 connections of programs that opened an IPv6 socket. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** Browsers try `::1` first, and the kernel takes milliseconds for each list. */
const TABLES_OF_IPV6 = TABLES.slice(1);
/** IPv4 in IPv6, as the table prints it: a program that opened an IPv6 socket and connected to an IPv4 address. */
const MAPPED = '0000000000000000FFFF0000';

const reading = new Map<string, { now: Promise<string>; next?: Promise<string> }>();

/**
 * Finds the user whose process holds the other end of a connection. It reads the kernel's list of connections; simultaneous callers share
 * one read.
 * @returns undefined if no process holds it any more, or the other end is on another machine
 */
export async function peerUid(ends: ConnectionEnds): Promise<number | undefined> {
  const isIpv6 = ends.remoteAddress.includes(':') && !/^::ffff:/i.test(ends.remoteAddress);
  for (const table of isIpv6 ? TABLES_OF_IPV6 : TABLES) {
    const uid = parsePeerUid(await freshText(table), ends);
    if (uid !== undefined) return uid;
  }
  return undefined;
}

/** @param table text of /proc/net/tcp or tcp6 (Documentation/networking/proc_net_tcp.rst); addresses are in the host's byte order */
export function parsePeerUid(table: string, ends: ConnectionEnds): number | undefined {
  const theirs = place(ends.remoteAddress, ends.remotePort);
  const ours = place(ends.localAddress, ends.localPort);
  for (const key of [`: ${theirs} ${ours} `, `: ${MAPPED}${theirs} ${MAPPED}${ours} `]) {
    const at = table.indexOf(key);
    if (at < 0) continue;
    const [, , , , , , uid, , inode] = table.slice(at + 2, table.indexOf('\n', at)).split(/ +/);
    // The table shows a socket that no process holds any more as root's.
    return inode === undefined || inode === '0' ? undefined : Number(uid);
  }
  return undefined;
}

function place(address: string, port: number): string {
  const plain = address.replace(/^::ffff:/i, '');
  const bytes = plain.includes(':') ? bytesOf(plain) : plain.split('.').map(Number);
  // The table prints each four bytes as one number.
  const words = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.slice(i * 4, i * 4 + 4).toReversed());
  return `${words.flatMap((word) => word.map((byte) => hex(byte, 2))).join('')}:${hex(port, 4)}`;
}

/** @param address of IPv6, as Node prints it */
function bytesOf(address: string): number[] {
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const [left, right] = [groups(head), groups(tail ?? '')];
  const middle = Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => 0);
  return [...left, ...middle, ...right].flatMap((group) => [group >> 8, group & 255]);
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

/** A running read may have passed the connection's row already, so a caller waits for the next one. */
function freshText(path: string): Promise<string> {
  const current = reading.get(path);
  if (current === undefined) return begin(path);
  current.next ??= current.now.then(
    () => begin(path),
    () => begin(path),
  );
  return current.next;
}

function begin(path: string): Promise<string> {
  const now = readFile(path, 'latin1').finally(() => {
    if (reading.get(path)?.now === now && reading.get(path)?.next === undefined) reading.delete(path);
  });
  reading.set(path, { now });
  return now;
}
