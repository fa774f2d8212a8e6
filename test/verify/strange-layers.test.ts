// Layers as nobody writes them twice, each held against what umoci makes of them. Seconds; root.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realHost } from '../../src/host/host.ts';
import { importImage } from '../../src/images/import/import-image.ts';
import { decodeName } from '../../src/lib/byte-names.ts';
import { ociFiles, type Piece, tarOf, writeFiles } from '../support/images/container-image.ts';
import { assertSameFiles, type Facts, mountedFacts, unpackedFacts } from '../support/images/tree-facts.ts';

const d = (path: string, more: Partial<Piece> = {}): Piece => ({ path: `${path}/`, type: 'directory', mode: 0o755, ...more });
const f = (path: string, body = '', more: Partial<Piece> = {}): Piece => ({ path, body, ...more });
const l = (path: string, linkPath: string): Piece => ({ path, type: 'symlink', mode: 0o777, linkPath });
const at = (seconds: number, ns = 0): Partial<Piece> => ({ modifiedMs: seconds * 1000, ...(ns === 0 ? {} : { modifiedNs: ns }) });
const latin1 = (text: string): string => decodeName(Buffer.from(text, 'latin1'));
/** Hard links name a path from the root, which is put before it below. */
const h = (path: string, linkPath: string, more: Partial<Piece> = {}): Piece => ({ path, type: 'hardlink', linkPath, ...more });

const CASES: Record<string, readonly (readonly Piece[])[]> = {
  'whiteout-before': [
    [d('a'), f('a/x', '1'), f('a/y', '1')],
    [f('a/.wh.x'), f('a/x', '2')],
  ],
  'whiteout-after': [
    [d('a'), f('a/x', '1'), f('a/y', '1')],
    [f('a/x', '2'), f('a/.wh.x')],
  ],
  'whiteout-directory': [[d('a'), d('a/b'), f('a/b/c', '1'), f('k')], [f('a/.wh.b')]],
  'whiteout-then-directory': [
    [d('a'), d('a/b'), f('a/b/c', '1')],
    [f('a/.wh.b'), d('a/b'), f('a/b/n', '2')],
  ],
  'directory-then-whiteout': [
    [d('a'), d('a/b'), f('a/b/c', '1')],
    [d('a/b', { mode: 0o700 }), f('a/b/n', '2'), f('a/.wh.b')],
  ],
  'whiteout-of-nothing': [[d('a')], [f('a/.wh.zz')]],
  'opaque-first': [
    [d('a'), f('a/x', '1'), d('a/d'), f('a/d/e', '1')],
    [d('a'), f('a/.wh..wh..opq'), f('a/n', '2')],
  ],
  'opaque-last': [
    [d('a'), f('a/x', '1'), d('a/d'), f('a/d/e', '1')],
    [f('a/n', '2'), d('a/d'), f('a/d/f', '2'), f('a/.wh..wh..opq')],
  ],
  'file-three-times': [[f('x', '1', { mode: 0o600 }), f('x', '22', { mode: 0o640, uid: 5 }), f('x', '333', { mode: 0o4755 })]],
  'directory-twice': [[d('a', { mode: 0o700 }), f('a/x', '1'), d('a', { mode: 0o1777, uid: 3, ...at(9) })]],
  'file-to-directory': [[f('a', '1')], [d('a'), f('a/b', '2')]],
  'directory-to-link': [[d('a'), f('a/x', '1'), d('b')], [l('a', 'b')]],
  'directory-to-file': [[d('a'), f('a/x', '1')], [f('a', 'f')]],
  'link-to-directory': [
    [d('b'), f('b/x', '1'), l('a', 'b')],
    [d('a'), f('a/y', '2')],
  ],
  'through-a-link': [[d('b'), f('b/x', '1'), l('a', 'b')], [f('a/y', '2')]],
  'hard-link-below': [[f('a', '1'), d('e')], [h('e/h', 'a')]],
  'hard-link-twice': [[f('a', '1'), h('h', 'a'), h('h', 'a'), h('h2', 'h')]],
  'hard-link-replaced': [[f('a', '1'), h('h', 'a')], [f('a', '2')]],
  'hard-link-left-alone': [[f('a', '1'), h('h', 'a')], [f('.wh.a')]],
  'hard-link-of-its-own-mind': [[f('a', '1', { mode: 0o600, uid: 7 }), h('h', 'a', { mode: 0o777, uid: 9 })]],
  bits: [
    [
      f('s', '', { mode: 0o4711, uid: 3, gid: 4 }),
      f('g', '', { mode: 0o2755, gid: 9 }),
      d('t', { mode: 0o1777 }),
      d('gd', { mode: 0o2775, gid: 50 }),
      f('none', '', { mode: 0 }),
    ],
  ],
  names: [
    [
      f('n'.repeat(255), '1'),
      f(latin1('caf\xe9'), '1'),
      f(latin1('caf\xea'), '2'),
      f('x y\n\t"\'\\', '3'),
      f('é'.repeat(127), '4'),
      l('l', latin1('caf\xe9')),
      l('ln', 't'.repeat(3000)),
    ],
  ],
  times: [
    [
      f('a', '', at(-1)),
      f('b', '', at(-(2 ** 31))),
      f('c', '', at(2 ** 31)),
      f('e', '', at(2 ** 33 + 5)),
      f('n', '', at(1_600_000_000, 123_456_789)),
      d('g', at(-6, 5)),
      { ...l('k', 'a'), ...at(77) },
    ],
  ],
  pipes: [[{ path: 'p', type: 'fifo', mode: 0o620, uid: 5 }]],
  attributes: [
    [f('a', '1', { xattrs: new Map([['user.k', Buffer.from('v')]]) }), d('e', { xattrs: new Map([['user.e', Buffer.from([0, 255])]]) })],
  ],
  dots: [[d('./a'), f('./a/./b', '1'), f('a//c', '2')]],
  'lower-directory': [[d('a', { mode: 0o711, uid: 8, ...at(9) }), f('a/x')], [f('a/y')]],
};

/** umoci 0.4.7 touches a directory when a whiteout behind it in its layer takes something out of it. */
const TOUCHED = ['opaque-last/a/d', 'directory-then-whiteout/a/b'];

test('layers with everything that may be strange about them come out as umoci has them (8.8, 11.10)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-strange-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const layerOf = (number: number): Buffer =>
    tarOf([
      ...(number === 0 ? [d('.', { mode: 0o750 })] : []),
      ...Object.entries(CASES).flatMap(([name, layers]) => [
        ...(number === 0 ? [d(name, at(1))] : []),
        ...(layers[number] ?? []).map((piece) => ({
          ...piece,
          path: `${name}/${piece.path}`,
          ...(piece.type === 'hardlink' ? { linkPath: `${name}/${piece.linkPath}` } : {}),
        })),
      ]),
    ]);
  const layout = writeFiles(join(directory, 'layout'), ociFiles([layerOf(0), layerOf(1)], { Cmd: ['/x'] }));
  const rootfs = join(directory, 'rootfs');
  await importImage({
    ...{
      path: layout,
      reference: undefined,
      modulesPath: null,
      scratch: join(directory, 'scratch'),
      rootfs,
      workSeed: join(directory, 'seed'),
    },
    ...{ host: realHost, signal: new AbortController().signal, onProgress: () => undefined, onLog: () => undefined },
  });
  const isExplained = ({ path, type }: Facts): boolean => path === 'lost+found' || (TOUCHED.includes(path) && type === 'directory');
  const found = mountedFacts(rootfs);
  assert.equal(found.get('')?.['mode'], '0o750');
  assertSameFiles(unpackedFacts(`${layout}:latest`, directory), found, isExplained);
});
