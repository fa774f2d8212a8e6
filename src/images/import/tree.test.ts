import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { tarOf } from '../../../test/support/images/container-image.ts';
import { readTar, type TarEntry, TarProblem } from '../../lib/tar.ts';
import { BangerError } from '../../model/errors.ts';
import { type Layer, mergeLayers, packTree } from './layers.ts';
import { resolveIn } from './init-system.ts';
import { Allowance } from './bytes.ts';
import { Tree } from './tree.ts';

const name = fc.constantFrom('a', 'b', 'c', '.wh.a', '.wh.b', '.wh..wh..opq', '..', '.', '', 'é', '$(x)', 'a\nb');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const linkPath = fc.oneof(path, fc.constantFrom('/a', '../..', '/', '../../../etc/passwd'));
const type = fc.constantFrom('file', 'file', 'directory', 'symlink', 'hardlink', 'device', 'fifo');
const entry: fc.Arbitrary<TarEntry> = fc
  .record({ path, type, linkPath, mode: fc.nat(0o7777) })
  .map((made) => ({ modifiedMs: 0, sizeBytes: 0, ...made }));
const layersOf = fc.array(fc.array(entry, { maxLength: 12 }), { minLength: 1, maxLength: 4 });

const isRefusal = (error: unknown): boolean =>
  error instanceof TarProblem || (error instanceof BangerError && error.code === 'INVALID_INPUT');

/** Adds what is not refused. @returns what was added, layer by layer */
function addAll(tree: Tree, layers: readonly (readonly TarEntry[])[]): TarEntry[][] {
  return layers.map((entries, layer) =>
    entries.filter((one, index) => {
      try {
        tree.add(one, { layer, index, isLayer: true });
        return true;
      } catch (error) {
        assert.ok(isRefusal(error), String(error));
        return false;
      }
    }),
  );
}

/** Every path is a name below a directory of the tree, and none could lead elsewhere. */
function assertSound(tree: Tree): void {
  for (const at of tree.nodes.keys()) {
    if (at === '') continue;
    const names = at.split('/');
    for (const one of names) assert.ok(one !== '' && one !== '.' && one !== '..' && !one.startsWith('.wh.'), at);
    assert.equal(tree.at(names.slice(0, -1).join('/'))?.type, 'directory', at);
  }
}

test('whatever layers say, every path is a name below a directory, and none takes away from its own layer (8.8)', () => {
  fc.assert(
    fc.property(layersOf, (layers) => {
      const tree = new Tree();
      addAll(tree, layers);
      assertSound(tree);
      for (const at of tree.nodes.keys()) resolveIn(tree, at);
    }),
    { numRuns: 1000 },
  );
});

test('what begins at the root begins at the root of the image, and the root is a directory (8.8)', () => {
  const tree = new Tree();
  const add = (at: string, of: TarEntry['type']) =>
    tree.add({ path: at, type: of, mode: 0o711, linkPath: '', sizeBytes: 0, modifiedMs: 0 }, { layer: 0, index: 0, isLayer: true });
  add('/', 'directory');
  assert.equal(tree.at('')?.entry.mode, 0o711);
  for (const [at, of] of [
    ['/', 'file'],
    ['/', 'symlink'],
    ['/..', 'directory'],
    ['//../etc', 'directory'],
  ] as const) {
    assert.throws(() => add(at, of), isRefusal);
  }
  add('//', 'directory');
  add('/etc', 'directory');
  assert.deepEqual([...tree.nodes.keys()], ['', 'etc']);
});

test('a layer hides the same whether its whiteouts come first or last (8.8)', () => {
  const isWhiteout = ({ path: at }: TarEntry): boolean => /(^|\/)\.wh\.[^/]*$/.test(at);
  const plain = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
  const whiteout = fc.tuple(plain, fc.constantFrom('.wh.a', '.wh.b', '.wh..wh..opq')).map(([at, last]) => `${at}/${last}`);
  const one = (paths: fc.Arbitrary<string>, kinds: TarEntry['type'][]): fc.Arbitrary<TarEntry> =>
    fc
      .record({ path: paths, type: fc.constantFrom(...kinds) })
      .map((made) => ({ modifiedMs: 0, sizeBytes: 0, mode: 0o755, linkPath: '', ...made }));
  const upper = fc.array(fc.oneof(one(plain, ['directory']), one(whiteout, ['file'])), { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(one(plain, ['directory']), { maxLength: 8 }), upper, (below, above) => {
      const [hiding, bringing] = [above.filter(isWhiteout), above.filter((at) => !isWhiteout(at))];
      const pathsOf = (second: TarEntry[]): string[] => {
        const tree = new Tree();
        addAll(tree, [below, second]);
        return [...tree.nodes.keys()].toSorted();
      };
      assert.deepEqual(pathsOf([...hiding, ...bringing]), pathsOf([...bringing, ...hiding]));
    }),
    { numRuns: 500 },
  );
});

const signal = new AbortController().signal;
const makeAllowance = (): Allowance => new Allowance(1e9);

function layerOf(bytes: Buffer): Layer {
  return { source: { name: 'layer', sizeBytes: bytes.length, open: () => Readable.from([bytes]) }, isLayer: true };
}

type Read = TarEntry & { content: string };

async function entriesOf(source: AsyncIterable<Buffer>): Promise<Read[]> {
  const found: Read[] = [];
  await readTar(source, {
    entry: async (one) => void found.push({ ...one, content: '' }),
    content: async (bytes) => void ((found.at(-1) as Read).content += bytes.toString()),
    entryEnd: async () => undefined,
  });
  return found;
}

test('the packed tree is safe to unpack: each path once, below directories, with the content of its own entry (8.8)', async () => {
  await fc.assert(
    fc.asyncProperty(layersOf, async (given) => {
      // A device that is left refuses the whole.
      const without = given.map((entries) => entries.map((one) => (one.type === 'device' ? { ...one, type: 'fifo' as const } : one)));
      const accepted = addAll(new Tree(), without);
      const bodyOf = (layer: number, index: number): string => `${layer}.${index}`;
      const layers = accepted.map((entries, layer) =>
        layerOf(
          tarOf(
            entries.map((one, index) => ({
              ...one,
              ...(one.type === 'file' ? { body: bodyOf(layer, index), sizeBytes: bodyOf(layer, index).length } : {}),
            })),
          ),
        ),
      );
      const merged = { tree: new Tree(), texts: new Map<string, string>() };
      await mergeLayers(merged, layers, { makeAllowance, signal });
      const seen = new Map<string, Read>();
      for (const one of await entriesOf(packTree(merged.tree, layers, makeAllowance, signal))) {
        const at = one.path.replace(/^\.\/|\/$/g, '');
        assert.ok(!seen.has(at), `${at} comes twice`);
        if (at !== '') assert.equal(seen.get(at.split('/').slice(0, -1).join('/'))?.type, 'directory', at);
        if (one.type === 'hardlink') assert.match(String(seen.get(one.linkPath.replace(/^\.\//, ''))?.type), /^(file|symlink|fifo)$/);
        const node = merged.tree.at(at);
        if (one.type === 'file') assert.equal(one.content, bodyOf(node?.layer ?? -1, node?.index ?? -1));
        seen.set(at, one);
      }
      assert.deepEqual([...seen.keys()].toSorted(), [...merged.tree.nodes.keys()].toSorted());
    }),
    { numRuns: 300 },
  );
});

test('bytes that are no archive end in a refusal, never in another error (8.8)', async () => {
  const whole = tarOf([
    { path: 'a/', type: 'directory', mode: 0o755 },
    { path: 'a/b', body: 'content' },
    { path: 'é'.repeat(80), type: 'symlink', linkPath: 'a/b' },
    { path: 'a/c', type: 'hardlink', linkPath: 'a/b' },
  ]);
  const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 6 }), fc.nat(whole.length), async (changes, length) => {
      const bytes = Buffer.from(whole.subarray(0, length));
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const merged = { tree: new Tree(), texts: new Map<string, string>() };
      await mergeLayers(merged, [layerOf(bytes)], { makeAllowance, signal }).catch((error: unknown) =>
        assert.ok(isRefusal(error), String(error)),
      );
      assertSound(merged.tree);
    }),
    { numRuns: 500 },
  );
});

test('more names of one file, or directories in one, than ext4 counts are refused by name (8.8, 12.8)', () => {
  const fill = (count: number, make: (at: number) => TarEntry): Tree => {
    const tree = new Tree();
    const base = { mode: 0o755, sizeBytes: 0, modifiedMs: 0, linkPath: '' };
    tree.add({ ...base, path: 'first', type: 'file' }, { layer: 0, index: 0, isLayer: false });
    for (let at = 1; at < count; at++) tree.add(make(at), { layer: 0, index: at, isLayer: false });
    return tree;
  };
  const link = (at: number): TarEntry => ({ path: `l${at}`, type: 'hardlink', mode: 0, sizeBytes: 0, modifiedMs: 0, linkPath: 'first' });
  const directory = (at: number): TarEntry => ({
    path: `d/${at}`,
    type: 'directory',
    mode: 0o755,
    sizeBytes: 0,
    modifiedMs: 0,
    linkPath: '',
  });
  fill(65_000, link).settle(() => undefined);
  assert.throws(() => fill(65_001, link).settle(() => undefined), {
    code: 'INVALID_INPUT',
    message: /"l65000" is one of more than 65000 names/,
  });
  fill(64_999, directory).settle(() => undefined);
  assert.throws(() => fill(65_000, directory).settle(() => undefined), {
    code: 'INVALID_INPUT',
    message: /"d" has more than 64998 directories/,
  });
});
