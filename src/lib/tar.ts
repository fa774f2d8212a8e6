// The tar format as far as copying trees needs it: ustar headers, pax and GNU long names, sizes beyond 8 GiB, files with holes. Source:
// POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar, "Tar Internals". Implemented here, because an image
// must not lose data: tar-stream 3.2 and modern-tar 0.8 give two names that differ in a byte beyond UTF-8 the same text, and take the map
// of a file with holes for its content; tar-stream drops fractions of seconds.
import { encodeName } from './byte-names.ts';
import { checksum, decodeHeader, entryOf, cString, numberAt, type Overrides, parsePax, sparseMapOf } from './tar-decode.ts';
import { type SparseMap, TAR_BLOCK_BYTES, type TarEntry, TarProblem, XATTR_KEY } from './tar-entry.ts';
import { checkedMap, encodeSparseMap, MOST_PIECES, parseSparseList } from './tar-sparse.ts';

export { type TarEntry, TarProblem } from './tar-entry.ts';

/** The limit for a name or an extended header, as in other readers; more is an attack. */
const MAX_META_BYTES = 1024 ** 2;

const TYPE_FLAGS = { file: '0', hardlink: '1', symlink: '2', device: '3', directory: '5', fifo: '6' } as const;

/** The limit of twelve octal digits, as seconds: the year 2242. */
const MOST_OCTAL = 0o77777777777;

/** @returns the header blocks of an entry, with a pax header first if something does not fit. The stored bytes follow. */
export function encodeTarHeader(entry: TarEntry & { type: keyof typeof TYPE_FLAGS }): Buffer {
  const [path, linkPath] = [encodeName(entry.path), encodeName(entry.linkPath)];
  const seconds = Math.floor(entry.modifiedMs / 1000);
  const map = entry.sparse === undefined ? undefined : encodeSparseMap(entry.sparse);
  const sizeBytes = entry.sizeBytes + (map?.length ?? 0);
  const records: [string, string | Buffer][] = [];
  if (path.length > 100 || !isAscii(path)) records.push(['path', path]);
  if (linkPath.length > 100 || !isAscii(linkPath)) records.push(['linkpath', linkPath]);
  if (sizeBytes > MOST_OCTAL) records.push(['size', String(sizeBytes)]);
  if (seconds < 0 || seconds > MOST_OCTAL || (entry.modifiedNs ?? 0) > 0) records.push(['mtime', decimalTime(seconds, entry.modifiedNs)]);
  if ((entry.uid ?? 0) > 0o7777777) records.push(['uid', String(entry.uid)]);
  if ((entry.gid ?? 0) > 0o7777777) records.push(['gid', String(entry.gid)]);
  for (const [name, value] of entry.xattrs ?? []) records.push([XATTR_KEY + name, value]);
  if (entry.sparse !== undefined) {
    records.push(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.name', path]);
    records.push(['GNU.sparse.realsize', String(entry.sparse.sizeBytes)]);
  }
  const main = Buffer.concat([
    headerBlock({ ...entry, path, linkPath, sizeBytes, seconds }, TYPE_FLAGS[entry.type]),
    map ?? Buffer.alloc(0),
  ]);
  if (records.length === 0) return main;
  const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  const pax = { path: Buffer.from('PaxHeader'), linkPath: Buffer.alloc(0), sizeBytes: body.length, mode: 0o644, seconds: 0 };
  return Buffer.concat([headerBlock(pax, 'x'), body, tarPadding(body.length), main]);
}

/** A fraction is added to whole seconds, which are rounded down; for a time before 1970, pax counts back from 1970. */
function decimalTime(seconds: number, nanoseconds = 0): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, rest] = seconds < 0 ? [`-${-(seconds + 1)}`, 1e9 - nanoseconds] : [String(seconds), nanoseconds];
  return `${whole}.${String(rest).padStart(9, '0')}`;
}

/** @returns the zero bytes between the end of `sizeBytes` of content and the next block */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}

/** @returns the end of an archive */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * TAR_BLOCK_BYTES);
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80);
}

function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.byteLength(` ${key}=\n`) + Buffer.byteLength(value);
  let length = rest + String(rest).length;
  // The length includes its own digits.
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), Buffer.from(value), Buffer.from('\n')]);
}

type HeaderFields = Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'sizeBytes'> & { path: Buffer; linkPath: Buffer; seconds: number };

function headerBlock(fields: HeaderFields, typeFlag: string): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (value: number, at: number, length: number): void => {
    const digits = Math.max(0, Math.floor(value))
      .toString(8)
      .padStart(length - 1, '0');
    block.write(digits.slice(-(length - 1)), at, 'latin1');
  };
  fields.path.copy(block, 0, 0, 100);
  octal(fields.mode & 0o7777, 100, 8);
  octal(fields.uid ?? 0, 108, 8);
  octal(fields.gid ?? 0, 116, 8);
  octal(fields.sizeBytes, 124, 12);
  octal(fields.seconds, 136, 12);
  block.write(typeFlag, 156, 'latin1');
  fields.linkPath.copy(block, 157, 0, 100);
  block.write('ustar\u000000', 257, 'latin1');
  octal(checksum(block), 148, 7);
  block.write(' ', 155, 'latin1');
  return block;
}

/** Receives the parts of an archive, in order. */
export type TarSink = {
  /** Whether it supports `sparse` of an entry; default: files with holes have the type `other`. */
  takesHoles?: true;
  /** @param contentAt where its content begins in the archive, bytes */
  entry(entry: TarEntry, contentAt: number): Promise<void>;
  /** Content of the last entry, in pieces. */
  content(bytes: Buffer): Promise<void>;
  /** The last entry is complete. */
  entryEnd(): Promise<void>;
};

/**
 * Reads an archive of any origin. It passes paths on unchanged, so the sink must not trust them.
 * @throws TarProblem if it is damaged or ends early
 */
export async function readTar(source: AsyncIterable<Buffer>, sink: TarSink): Promise<void> {
  const input = new BlockInput(source);
  let [ofAll, overrides]: [Overrides, Overrides] = [{}, {}];
  for (;;) {
    const block = await input.exactly(TAR_BLOCK_BYTES);
    if (block === undefined || block.every((byte) => byte === 0)) break;
    const header = decodeHeader(block);
    if ('xgXLK'.includes(header.flag)) {
      if (header.sizeBytes > MAX_META_BYTES) throw new TarProblem('a header of the archive is too long');
      const body = await input.content(header.sizeBytes);
      // X is its name in Solaris before pax.
      if ('xX'.includes(header.flag)) overrides = { ...overrides, ...parsePax(body) };
      if (header.flag === 'g') ofAll = { ...ofAll, ...parsePax(body) };
      if (header.flag === 'L') overrides.path = cString(body);
      if (header.flag === 'K') overrides.linkpath = cString(body);
      continue;
    }
    const known = { ...ofAll, ...overrides };
    overrides = {};
    // V is the label of a whole archive. The list of D is for unpacking one archive over another.
    if (header.flag === 'V') continue;
    const entry = await withHoles(entryOf(header, known), { block, flag: header.flag, overrides: known }, input);
    if (header.flag === 'D') await input.pass(header.sizeBytes, async () => undefined);
    await sink.entry(entry.sparse === undefined || sink.takesHoles === true ? entry : { ...entry, type: 'other' }, input.position);
    await input.pass(entry.sizeBytes, (bytes) => sink.content(bytes));
    await sink.entryEnd();
  }
  await input.drain();
}

type OfEntry = { block: Buffer; flag: string; overrides: Overrides };

/** Reads on if the map of a file with holes lies between its header and its data. */
async function withHoles(entry: TarEntry, { block, flag, overrides }: OfEntry, input: BlockInput): Promise<TarEntry> {
  if (entry.type !== 'file') return entry;
  if (flag === 'S') return { ...entry, sparse: await oldGnuMap(block, entry.sizeBytes, input) };
  const words = overrides.sparse;
  if (words === undefined) return entry;
  if (words.major !== '1') return { ...entry, sparse: sparseMapOf(words, entry.sizeBytes) };
  const { words: map, blocks } = await storedMap(input);
  const sizeBytes = entry.sizeBytes - blocks * TAR_BLOCK_BYTES;
  return { ...entry, sizeBytes, sparse: parseSparseList(map, Number(words.size), sizeBytes) };
}

/** Version 1.0: a number of pieces and as many pairs of numbers, one per line, in whole blocks before the data. */
async function storedMap(input: BlockInput): Promise<{ words: string[]; blocks: number }> {
  let text = '';
  for (let blocks = 1; blocks * TAR_BLOCK_BYTES <= MAX_META_BYTES; blocks++) {
    text += ((await input.exactly(TAR_BLOCK_BYTES)) ?? Buffer.alloc(0)).toString('latin1');
    const lines = text.split('\n');
    const count = lines.length > 1 ? Number(lines[0]) : Number.NaN;
    if (count > MOST_PIECES) break;
    if (lines.length - 1 > 2 * count) return { words: lines.slice(1, 2 * count + 1), blocks };
  }
  throw new TarProblem('the archive is damaged (map of a file with holes)');
}

/** GNU tar's form before pax: four pieces in the header, and 21 in each block that follows. */
async function oldGnuMap(header: Buffer, storedBytes: number, input: BlockInput): Promise<SparseMap> {
  const pieces: { at: number; sizeBytes: number }[] = [];
  const take = (block: Buffer, from: number, count: number): void => {
    for (let at = from; at < from + count * 24; at += 24) {
      const piece = { at: numberAt(block, at, 12), sizeBytes: numberAt(block, at + 12, 12) };
      if (piece.sizeBytes > 0) pieces.push(piece);
    }
  };
  take(header, 386, 4);
  for (let goesOn = header[482] !== 0; goesOn && pieces.length <= MOST_PIECES;) {
    const block = await input.exactly(TAR_BLOCK_BYTES);
    if (block === undefined) throw new TarProblem('the archive ends early');
    take(block, 0, 21);
    goesOn = block[504] !== 0;
  }
  return checkedMap({ sizeBytes: numberAt(header, 483, 12), pieces }, storedBytes);
}

/** A stream from which exact numbers of bytes are read. */
class BlockInput {
  #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  /** How much was read. */
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

  /** @returns undefined at the end of the stream. @throws TarProblem if it ends within */
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

  /** Passes on `count` bytes and skips to the next block. */
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

  /** The archive may end here: umoci 0.4 omits the padding of a layer's last file, and the end of the archive. */
  async #skip(count: number): Promise<void> {
    while (this.#rest.length < count && (await this.#more()));
    this.position += Math.min(count, this.#rest.length);
    this.#rest = this.#rest.subarray(count);
  }

  async drain(): Promise<void> {
    while (await this.#more()) this.#rest = Buffer.alloc(0);
  }
}
