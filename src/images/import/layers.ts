import { createHash, type Hash } from 'node:crypto';
import { encodeTarHeader, readTar, tarEnd, tarPadding, type TarSink } from '../../lib/tar.ts';
import { type TarEntry, TarProblem } from '../../lib/tar-entry.ts';
import { type IdOf, numbersIn } from './acl.ts';
import { type Allowance, type ByteSource, decompressed } from './bytes.ts';
import { resolveIn } from './init-system.ts';
import { refusal } from './problem.ts';
import type { Node, Tree } from './tree.ts';
import { given } from '../../lib/given.ts';

/** One tar of the image, lowest first. */
export type Layer = {
  source: ByteSource;
  /** SHA-256 of its unpacked content, hex; verified if known. */
  unpackedSha256?: string;
  /** Whether `.wh.` names remove files of lower layers. */
  isLayer: boolean;
  /** A prefix of every path. */
  prefix?: string;
  /** Paths in the tar that do not belong to the image. */
  omit?: ReadonlySet<string>;
};

/** Makes the limits of a reading of all layers; each reading has its own. */
export type MakeAllowance = () => Allowance;

/** The content of text files that describe the image, by the entry that brought it. */
export type Texts = Map<string, string>;
/** Their paths, with the number of bytes to keep. */
const KEPT_TEXTS: ReadonlyMap<string, number> = new Map([
  ...(['etc/os-release', 'usr/lib/os-release', 'etc/environment'] as const).map((path) => [path, 8192] as const),
  ...(['etc/passwd', 'etc/group'] as const).map((path) => [path, 256 * 1024] as const),
]);

/**
 * Checks every entry of every layer from the `from`th on, on top of the tree of the earlier layers.
 * @throws INVALID_INPUT if an entry is refused or a layer does not match its digest
 */
export async function mergeLayers(
  into: { tree: Tree; texts: Texts },
  layers: readonly Layer[],
  reading: { makeAllowance: MakeAllowance; signal: AbortSignal; from?: number },
): Promise<void> {
  const allowance = reading.makeAllowance();
  for (const [at, layer] of layers.entries()) {
    if (at < (reading.from ?? 0)) continue;
    const hash = createHash('sha256');
    await read(layer, hashed(decompressed(layer.source, allowance, reading.signal), hash), mergeSink(into, layer, at));
    if (layer.unpackedSha256 !== undefined && !isDigestOf(hash, layer.unpackedSha256)) {
      throw refusal(`${layer.source.name} is not what the image's configuration says (sha256)`, 'fetch it again');
    }
  }
  into.tree.settle(idsIn(into));
}

/** @returns the content of a text file of the image; undefined if there is none, or it is too long */
export function textAt({ tree, texts }: { tree: Tree; texts: Texts }, path: string): string | undefined {
  const node = tree.at(resolveIn(tree, path) ?? '');
  return node === undefined ? undefined : texts.get(entryKey(node));
}

const entryKey = ({ layer, index }: { layer: number; index: number }): string => `${layer}.${index}`;

function idsIn(image: { tree: Tree; texts: Texts }): IdOf {
  const known = { user: numbersIn(textAt(image, 'etc/passwd') ?? ''), group: numbersIn(textAt(image, 'etc/group') ?? '') };
  return (kind, name) => known[kind].get(name);
}

function mergeSink({ tree, texts }: { tree: Tree; texts: Texts }, { isLayer, prefix, omit }: Layer, layer: number): TarSink {
  let index = 0;
  let kept: { key: string; chunks: Buffer[] } | undefined;
  return {
    takesHoles: true,
    entry: async (entry) => {
      const place = { layer, index: index++, isLayer, ...given({ prefix }) };
      if (omit?.has(entry.path) !== true) tree.add(entry, place);
      const path = entry.path.replace(/^(\.?\/)+/, '');
      kept = entry.type === 'file' && entry.sizeBytes <= (KEPT_TEXTS.get(path) ?? -1) ? { key: entryKey(place), chunks: [] } : undefined;
    },
    content: async (bytes) => void kept?.chunks.push(Buffer.from(bytes)),
    entryEnd: async () => {
      if (kept !== undefined) texts.set(kept.key, Buffer.concat(kept.chunks).toString('utf8'));
    },
  };
}

/**
 * Writes the merged file system as one archive that is safe to unpack without further checks: directories first, then files, then links,
 * each path once, none through a link.
 */
export async function* packTree(
  tree: Tree,
  layers: readonly Layer[],
  makeAllowance: MakeAllowance,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const paths = [...tree.nodes.keys()].toSorted();
  const first = new Map<Node, string>();
  const later: { path: string; node: Node }[] = [];
  for (const path of paths) {
    const node = tree.nodes.get(path) as Node;
    if (node.type === 'directory') yield encodeTarHeader({ ...node.entry, type: 'directory', path: `./${path}`, sizeBytes: 0 });
    else if (first.has(node)) later.push({ path, node });
    else first.set(node, path);
  }
  yield* packFiles(first, layers, makeAllowance(), signal);
  for (const [node, path] of first) {
    const { type } = node;
    if (type === 'symlink' || type === 'fifo') yield encodeTarHeader({ ...node.entry, type, path: `./${path}`, sizeBytes: 0 });
  }
  for (const { path, node } of later) {
    yield encodeTarHeader({
      ...node.entry,
      type: 'hardlink',
      path: `./${path}`,
      linkPath: `./${first.get(node) ?? ''}`,
      sizeBytes: 0,
      xattrs: new Map(),
    });
  }
  yield tarEnd();
}

async function* packFiles(
  first: ReadonlyMap<Node, string>,
  layers: readonly Layer[],
  allowance: Allowance,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for (const [at, layer] of layers.entries()) {
    const wanted = new Map<number, { path: string; entry: TarEntry }>();
    for (const [node, path] of first) if (node.type === 'file' && node.layer === at) wanted.set(node.index, { path, entry: node.entry });
    if (wanted.size > 0) yield* pull((sink) => read(layer, decompressed(layer.source, allowance, signal), sink), wanted);
  }
}

/** Turns a reader that pushes into one from which the caller pulls: at most one piece waits. */
async function* pull(
  readAll: (sink: TarSink) => Promise<void>,
  wanted: ReadonlyMap<number, { path: string; entry: TarEntry }>,
): AsyncGenerator<Buffer> {
  const channel = new TransformStream<Buffer, Buffer>(undefined, { highWaterMark: 1 }, { highWaterMark: 1 });
  const writer = channel.writable.getWriter();
  let index = -1;
  const present = () => wanted.get(index);
  const reading = readAll({
    takesHoles: true,
    entry: async () => {
      index += 1;
      const found = present();
      if (found !== undefined) await writer.write(encodeTarHeader({ ...found.entry, type: 'file', path: `./${found.path}` }));
    },
    content: async (bytes) => {
      if (present() !== undefined) await writer.write(bytes);
    },
    entryEnd: async () => {
      const found = present();
      if (found !== undefined) await writer.write(tarPadding(found.entry.sizeBytes));
    },
  }).then(
    () => writer.close(),
    (error: unknown) => writer.abort(error),
  );
  reading.catch(() => undefined);
  yield* channel.readable;
  await reading;
}

async function read(layer: Layer, bytes: AsyncIterable<Buffer>, sink: TarSink): Promise<void> {
  try {
    await readTar(bytes, sink);
  } catch (error) {
    if (error instanceof TarProblem) throw refusal(`${layer.source.name}: ${error.message}`);
    throw error;
  }
}

/** Tar fills its last record, of 20 blocks, with zeros: of these layers of zstd:chunked lack what podman 4 took for nothing, though their digest counts them. */
function isDigestOf(hash: Hash, sha256: string): boolean {
  const [block, blocks] = [Buffer.alloc(512), 20];
  for (let added = 0; added <= blocks; added++) {
    if (hash.copy().digest('hex') === sha256) return true;
    hash.update(block);
  }
  return false;
}

async function* hashed(bytes: AsyncIterable<Buffer>, hash: { update(bytes: Buffer): unknown }): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
}
