// The tar format as far as copying trees needs it: ustar headers, pax and GNU long names, sizes beyond 8 GiB.
// Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".

export const TAR_BLOCK_BYTES = 512;
/** What a name or an extended header may take; more is an attack. */
const MAX_META_BYTES = 64 * 1024;

export type TarEntry = {
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'fifo' | 'other';
  /** Permission bits. */
  mode: number;
  sizeBytes: number;
  modifiedMs: number;
  /** Target of a link. */
  linkPath: string;
  /** Default 0: what is copied for a person belongs to whoever unpacks it. */
  uid?: number;
  gid?: number;
  xattrs?: ReadonlyMap<string, Buffer>;
};

/** How extended attributes are called in pax headers, by GNU tar, bsdtar and what writes container layers. */
const XATTR_KEY = 'SCHILY.xattr.';

/** The archive is damaged, or of a kind that is not read here. */
export class TarProblem extends Error {
  override readonly name = 'TarProblem';
}

const TYPE_FLAGS = { file: '0', hardlink: '1', symlink: '2', device: '3', directory: '5', fifo: '6' } as const;

/** @returns the header blocks of an entry; a pax header comes first when the path, link or size does not fit */
export function encodeTarHeader(entry: TarEntry & { type: keyof typeof TYPE_FLAGS }): Buffer {
  const records: [string, string | Buffer][] = [];
  if (Buffer.byteLength(entry.path) > 100 || !isAscii(entry.path)) records.push(['path', entry.path]);
  if (Buffer.byteLength(entry.linkPath) > 100 || !isAscii(entry.linkPath)) records.push(['linkpath', entry.linkPath]);
  if (entry.sizeBytes > 0o77777777777) records.push(['size', String(entry.sizeBytes)]);
  if ((entry.uid ?? 0) > 0o7777777) records.push(['uid', String(entry.uid)]);
  if ((entry.gid ?? 0) > 0o7777777) records.push(['gid', String(entry.gid)]);
  for (const [name, value] of entry.xattrs ?? []) records.push([XATTR_KEY + name, value]);
  const main = headerBlock(entry, TYPE_FLAGS[entry.type]);
  if (records.length === 0) return main;
  const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  const pax = { ...entry, path: 'PaxHeader', linkPath: '', sizeBytes: body.length, mode: 0o644 };
  return Buffer.concat([headerBlock(pax, 'x'), body, tarPadding(body.length), main]);
}

/** @returns the zero bytes between the end of `sizeBytes` of content and the next block */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}

/** @returns what ends an archive */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * TAR_BLOCK_BYTES);
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.byteLength(` ${key}=\n`) + Buffer.byteLength(value);
  let length = rest + String(rest).length;
  // The length counts its own digits.
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), Buffer.from(value), Buffer.from('\n')]);
}

function headerBlock(entry: TarEntry, typeFlag: string): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (value: number, at: number, length: number): void => {
    const digits = Math.max(0, Math.floor(value))
      .toString(8)
      .padStart(length - 1, '0');
    block.write(digits.slice(-(length - 1)), at, 'latin1');
  };
  block.write(entry.path, 0, 100, 'utf8');
  octal(entry.mode & 0o7777, 100, 8);
  octal(entry.uid ?? 0, 108, 8);
  octal(entry.gid ?? 0, 116, 8);
  octal(entry.sizeBytes, 124, 12);
  octal(entry.modifiedMs / 1000, 136, 12);
  block.write(typeFlag, 156, 'latin1');
  block.write(entry.linkPath, 157, 100, 'utf8');
  block.write('ustar\u000000', 257, 'latin1');
  octal(checksum(block), 148, 7);
  block.write(' ', 155, 'latin1');
  return block;
}

/** Sum of all bytes, those of the checksum itself counted as blanks. */
function checksum(block: Buffer): number {
  let sum = 0;
  for (let i = 0; i < TAR_BLOCK_BYTES; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
  return sum;
}

/** Takes what an archive is made of, in order. */
export type TarSink = {
  /** @param contentAt where its content begins in the archive, bytes */
  entry(entry: TarEntry, contentAt: number): Promise<void>;
  /** Content of the last entry, in pieces. */
  content(bytes: Buffer): Promise<void>;
  /** The last entry is complete. */
  entryEnd(): Promise<void>;
};

/**
 * Reads an archive of any origin. Paths are handed over as they are: it is the sink that must not trust them.
 * @throws TarProblem when it is damaged or ends early
 */
export async function readTar(source: AsyncIterable<Buffer>, sink: TarSink): Promise<void> {
  const input = new BlockInput(source);
  let overrides: Overrides = {};
  for (;;) {
    const block = await input.exactly(TAR_BLOCK_BYTES);
    if (block === undefined || block.every((byte) => byte === 0)) break;
    const header = decodeHeader(block);
    if ('xgLK'.includes(header.flag)) {
      if (header.sizeBytes > MAX_META_BYTES) throw new TarProblem('a header of the archive is too long');
      const body = await input.content(header.sizeBytes);
      if (header.flag === 'x') overrides = { ...overrides, ...parsePax(body) };
      if (header.flag === 'L') overrides.path = cString(body);
      if (header.flag === 'K') overrides.linkpath = cString(body);
      continue;
    }
    const entry = entryOf(header, overrides);
    overrides = {};
    await sink.entry(entry, input.position);
    await input.pass(entry.sizeBytes, (bytes) => sink.content(bytes));
    await sink.entryEnd();
  }
  await input.drain();
}

/** What an extended header says of the next entry, in place of its own. */
type Overrides = {
  [Key in (typeof OVERRIDDEN)[number]]?: string;
} & { xattrs?: Map<string, Buffer>; isSparse?: boolean };
const OVERRIDDEN = ['path', 'linkpath', 'size', 'uid', 'gid', 'mtime'] as const;

type Header = { uid: number; gid: number } & {
  flag: string;
  path: string;
  mode: number;
  sizeBytes: number;
  modifiedMs: number;
  linkPath: string;
};

function decodeHeader(block: Buffer): Header {
  if (octalOf(block, 148, 8) !== checksum(block)) throw new TarProblem('the archive is damaged (checksum)');
  const flag = String.fromCharCode(block[156] ?? 0);
  const prefix = block.toString('latin1', 257, 262) === 'ustar' && block[262] === 0 ? cString(block.subarray(345, 500)) : '';
  const name = cString(block.subarray(0, 100));
  return {
    flag: flag === '\0' ? '0' : flag,
    path: prefix === '' ? name : `${prefix}/${name}`,
    mode: octalOf(block, 100, 8) & 0o7777,
    uid: octalOf(block, 108, 8),
    gid: octalOf(block, 116, 8),
    sizeBytes: octalOf(block, 124, 12),
    modifiedMs: octalOf(block, 136, 12) * 1000,
    linkPath: cString(block.subarray(157, 257)),
  };
}

function entryOf(header: Header, overrides: Overrides): TarEntry {
  const types: Record<string, TarEntry['type']> = {
    ...{ '0': 'file', '7': 'file', '1': 'hardlink', '2': 'symlink', '5': 'directory' },
    ...{ '3': 'device', '4': 'device', '6': 'fifo' },
  };
  const type = overrides.isSparse === true ? 'other' : (types[header.flag] ?? 'other');
  const number = (key: 'size' | 'uid' | 'gid', otherwise: number): number => {
    const value = overrides[key] === undefined ? otherwise : Number(overrides[key]);
    if (!Number.isSafeInteger(value) || value < 0) throw new TarProblem(`the archive is damaged (${key})`);
    return value;
  };
  const mtime = Number(overrides.mtime ?? Number.NaN);
  return {
    path: overrides.path ?? header.path,
    type,
    mode: header.mode,
    uid: number('uid', header.uid),
    gid: number('gid', header.gid),
    // Only files have content, whatever the header of a link or directory says.
    sizeBytes: type === 'file' || type === 'other' ? number('size', header.sizeBytes) : 0,
    modifiedMs: Number.isFinite(mtime) ? mtime * 1000 : header.modifiedMs,
    linkPath: overrides.linkpath ?? header.linkPath,
    ...(overrides.xattrs === undefined ? {} : { xattrs: overrides.xattrs }),
  };
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

function octalOf(block: Buffer, at: number, length: number): number {
  // GNU tar stores what octal digits cannot hold as a big-endian number with the top bit set.
  if (((block[at] ?? 0) & 0x80) !== 0)
    return Number(block.subarray(at + 1, at + length).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n));
  const text = block
    .toString('latin1', at, at + length)
    .replace(/[\0 ]+$/, '')
    .trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw new TarProblem('the archive is damaged (number)');
  return Number.parseInt(text, 8);
}

function parsePax(body: Buffer): Overrides {
  const found: Overrides = {};
  for (let at = 0; at < body.length;) {
    const blank = body.indexOf(32, at);
    const length = Number(body.toString('latin1', at, Math.max(blank, at)));
    if (blank < 0 || !Number.isSafeInteger(length) || length < 5 || at + length > body.length)
      throw new TarProblem('the archive is damaged (pax)');
    const record = body.subarray(blank + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    const key = record.toString('utf8', 0, Math.max(equals, 0));
    const value = record.subarray(equals + 1);
    const overridden = OVERRIDDEN.find((name) => name === key);
    if (overridden !== undefined) found[overridden] = value.toString('utf8');
    else if (key.startsWith(XATTR_KEY)) (found.xattrs ??= new Map()).set(key.slice(XATTR_KEY.length), Buffer.from(value));
    else if (key.startsWith('GNU.sparse.')) found.isSparse = true;
    at += length;
  }
  return found;
}

/** A stream from which exact numbers of bytes are taken. */
class BlockInput {
  #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  /** How much was taken. */
  position = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    return true;
  }

  /** @returns undefined at the end of the stream. @throws TarProblem when it ends within */
  async exactly(count: number): Promise<Buffer | undefined> {
    while (this.#rest.length < count) {
      if (await this.#more()) continue;
      if (this.#rest.length === 0) return undefined;
      throw new TarProblem('the archive ends early');
    }
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    this.position += count;
    return taken;
  }

  async content(count: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    await this.pass(count, async (bytes) => void pieces.push(bytes));
    return Buffer.concat(pieces);
  }

  /** Hands `count` bytes on and skips to the next block. */
  async pass(count: number, take: (bytes: Buffer) => Promise<void>): Promise<void> {
    for (let left = count; left > 0;) {
      if (this.#rest.length === 0 && !(await this.#more())) throw new TarProblem('the archive ends early');
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      this.position += piece.length;
      left -= piece.length;
      await take(piece);
    }
    await this.#skip(tarPadding(count).length);
  }

  /** The archive may end here: umoci 0.4 leaves the padding of a layer's last file out, with what ends an archive. */
  async #skip(count: number): Promise<void> {
    while (this.#rest.length < count && (await this.#more()));
    this.position += Math.min(count, this.#rest.length);
    this.#rest = this.#rest.subarray(count);
  }

  async drain(): Promise<void> {
    while (await this.#more()) this.#rest = Buffer.alloc(0);
  }
}
