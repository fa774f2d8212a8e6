// Decodes headers of archives: ustar, pax, and GNU tar. Part of readTar in tar.ts, which finds the headers.
import { decodeName } from './byte-names.ts';
import { parseSparseList } from './tar-sparse.ts';
import { type SparseMap, ACL_KEY, TAR_BLOCK_BYTES, type TarEntry, TarProblem, XATTR_KEY } from './tar-entry.ts';
import { given } from './given.ts';

/** What an extended header overrides in the next entry. */
export type Overrides = {
  [Key in (typeof OVERRIDDEN)[number]]?: string | undefined;
} & { xattrs?: Map<string, Buffer>; acls?: Map<string, string>; sparse?: SparseWords };

/** GNU tar's records about holes (tar, "Storing Sparse Files"): `offset` and `numbytes` of version 0.0 are collected in `map`. */
export type SparseWords = { map: string[]; size?: string; name?: string; major?: string };

const OVERRIDDEN = ['path', 'linkpath', 'size', 'uid', 'gid', 'mtime'] as const;

export type Header = { uid: number; gid: number } & {
  flag: string;
  path: string;
  mode: number;
  sizeBytes: number;
  modifiedMs: number;
  linkPath: string;
};

/** Sum of all bytes, with the checksum's own bytes counted as blanks. */
export function checksum(block: Buffer): number {
  let sum = 0;
  for (let i = 0; i < TAR_BLOCK_BYTES; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
  return sum;
}

export function decodeHeader(block: Buffer): Header {
  if (numberAt(block, 148, 8) !== checksum(block)) throw new TarProblem('the archive is damaged (checksum)');
  const flag = String.fromCharCode(block[156] ?? 0);
  const prefix = block.toString('latin1', 257, 262) === 'ustar' && block[262] === 0 ? cString(block.subarray(345, 500)) : '';
  const name = cString(block.subarray(0, 100));
  return {
    flag: flag === '\0' ? '0' : flag,
    path: prefix === '' ? name : `${prefix}/${name}`,
    mode: numberAt(block, 100, 8) & 0o7777,
    uid: numberAt(block, 108, 8),
    gid: numberAt(block, 116, 8),
    sizeBytes: numberAt(block, 124, 12),
    modifiedMs: numberAt(block, 136, 12) * 1000,
    linkPath: cString(block.subarray(157, 257)),
  };
}

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  ...{ '0': 'file', '7': 'file', '1': 'hardlink', '2': 'symlink', '5': 'directory', S: 'file' },
  // D: a directory of GNU tar's incremental archives, followed by the list of its content.
  ...{ '3': 'device', '4': 'device', '6': 'fifo', D: 'directory' },
};

/** @returns the entry; its size is the number of stored bytes, also for a file with holes */
export function entryOf(header: Header, overrides: Overrides): TarEntry {
  const type = TYPES[header.flag] ?? 'other';
  const number = (key: 'size' | 'uid' | 'gid', otherwise: number): number => {
    const value = overrides[key] === undefined ? otherwise : Number(overrides[key]);
    if (!Number.isSafeInteger(value) || value < 0) throw new TarProblem(`the archive is damaged (${key})`);
    return value;
  };
  const path = overrides.sparse?.name ?? overrides.path ?? header.path;
  return {
    path,
    // Before there was a type for directories, they were files whose names end in a slash.
    type: type === 'file' && header.flag === '0' && path.endsWith('/') && header.sizeBytes === 0 ? 'directory' : type,
    mode: header.mode,
    uid: number('uid', header.uid),
    gid: number('gid', header.gid),
    // Only files have content, whatever the header of a link or directory says.
    sizeBytes: type === 'file' || type === 'other' ? number('size', header.sizeBytes) : 0,
    ...timeOf(overrides.mtime, header.modifiedMs),
    linkPath: overrides.linkpath ?? header.linkPath,
    ...given({ xattrs: overrides.xattrs, acls: overrides.acls }),
  };
}

/** @param seconds with a decimal fraction, as in pax; the fraction of a time before 1970 counts towards it */
function timeOf(seconds: string | undefined, otherwiseMs: number): Pick<TarEntry, 'modifiedMs' | 'modifiedNs'> {
  const [, whole, fraction = ''] = /^(-?\d+)(?:\.(\d*))?$/.exec(seconds ?? '') ?? [];
  if (whole === undefined) return { modifiedMs: otherwiseMs };
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (nanoseconds === 0) return { modifiedMs: Number(whole) * 1000 };
  // Also -0.5, whose whole part is 0.
  return whole.startsWith('-')
    ? { modifiedMs: (Number(whole) - 1) * 1000, modifiedNs: 1e9 - nanoseconds }
    : { modifiedMs: Number(whole) * 1000, modifiedNs: nanoseconds };
}

export function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return decodeName(end < 0 ? bytes : bytes.subarray(0, end));
}

/** @returns a number in octal digits, or in GNU tar's form for larger ones: big-endian two's complement with the top bit set */
export function numberAt(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) {
    const isNegative = (first & 0x40) !== 0;
    const bits = block
      .subarray(at + 1, at + length)
      .reduce((sum, byte) => sum * 256n + BigInt(byte), isNegative ? -1n : BigInt(first & 0x3f));
    return Number(bits);
  }
  const text = block
    .toString('latin1', at, at + length)
    .replace(/[\0 ]+$/, '')
    .trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw new TarProblem('the archive is damaged (number)');
  return Number.parseInt(text, 8);
}

export function parsePax(body: Buffer): Overrides {
  const found: Overrides = {};
  for (let at = 0; at < body.length;) {
    const blank = body.indexOf(32, at);
    const length = Number(body.toString('latin1', at, Math.max(blank, at)));
    if (blank < 0 || !Number.isSafeInteger(length) || length < 5 || at + length > body.length)
      throw new TarProblem('the archive is damaged (pax)');
    const record = body.subarray(blank + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    takeRecord(found, decodeName(record.subarray(0, Math.max(equals, 0))), record.subarray(equals + 1));
    at += length;
  }
  return found;
}

function takeRecord(found: Overrides, key: string, value: Buffer): void {
  const overridden = OVERRIDDEN.find((name) => name === key);
  // An empty value cancels an earlier one for all entries.
  if (overridden !== undefined) found[overridden] = value.length === 0 ? undefined : decodeName(value);
  else if (key.startsWith(XATTR_KEY)) (found.xattrs ??= new Map()).set(key.slice(XATTR_KEY.length), Buffer.from(value));
  else if (key.startsWith(ACL_KEY)) (found.acls ??= new Map()).set(key.slice(ACL_KEY.length), decodeName(value));
  else if (key.startsWith('GNU.sparse.')) takeSparse((found.sparse ??= { map: [] }), key.slice('GNU.sparse.'.length), value);
}

function takeSparse(words: SparseWords, key: string, value: Buffer): void {
  if (key === 'map') words.map.push(...value.toString('latin1').split(','));
  else if (key === 'offset' || key === 'numbytes') words.map.push(value.toString('latin1'));
  else if (key === 'name') words.name = decodeName(value);
  else if (key === 'size' || key === 'realsize') words.size = value.toString('latin1');
  else if (key === 'major') words.major = value.toString('latin1');
}

/** @returns the holes from pax records of version 0, which are not in the content */
export function sparseMapOf({ map, size }: SparseWords, storedBytes: number): SparseMap {
  return parseSparseList(map, Number(size), storedBytes);
}
