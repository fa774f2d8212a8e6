import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initSystemOf } from './init-system.ts';
import { Tree } from './tree.ts';

/** A tree of programs; `->` makes a link. */
function treeOf(...paths: string[]): Tree {
  const tree = new Tree();
  for (const [index, line] of paths.entries()) {
    const [path = '', linkPath] = line.split(' -> ');
    const entry = { path, linkPath: linkPath ?? '', mode: 0o755, sizeBytes: 0, modifiedMs: 0 };
    tree.add({ ...entry, type: linkPath === undefined ? 'file' : 'symlink' }, { layer: 0, index, isLayer: false });
  }
  return tree;
}

test('a system boots the program behind its /sbin/init, wherever the distribution keeps it (8.7, 8.8)', () => {
  const systems = {
    systemd: treeOf('lib -> usr/lib', 'sbin -> usr/sbin', 'usr/lib/systemd/systemd', 'usr/sbin/init -> ../lib/systemd/systemd'),
    'runit of Debian': treeOf('lib -> usr/lib', 'sbin -> usr/sbin', 'usr/sbin/init -> /lib/runit/runit-init', 'usr/lib/runit/runit-init'),
    'runit of Void': treeOf('sbin -> usr/bin', 'usr/bin/init -> runit-init', 'usr/bin/runit-init'),
    'runit beside systemd': treeOf('lib/systemd/systemd', 'lib/runit/runit-init', 'sbin/init -> /lib/runit/runit-init'),
    'systemd without a link': treeOf('lib/systemd/systemd'),
    busybox: treeOf('bin/busybox', 'sbin/init -> /bin/busybox'),
    nothing: treeOf('bin/app', 'sbin/init -> ../../nowhere'),
  };
  const found = Object.fromEntries(Object.entries(systems).map(([name, tree]) => [name, initSystemOf(tree, null)]));
  assert.deepEqual(found, {
    systemd: 'systemd',
    'runit of Debian': 'runit',
    'runit of Void': 'runit',
    'runit beside systemd': 'runit',
    'systemd without a link': 'systemd',
    busybox: 'none',
    nothing: 'none',
  });
});

test('a container is a system only when its entrypoint is its init (8.8)', () => {
  const tree = treeOf('lib -> usr/lib', 'usr/lib/systemd/systemd', 'sbin/init -> /lib/systemd/systemd', 'bin/app');
  assert.equal(initSystemOf(tree, ['/sbin/init']), 'systemd');
  assert.equal(initSystemOf(tree, ['/lib/systemd/systemd']), 'systemd');
  assert.equal(initSystemOf(tree, ['/sbin/init', '--unit=a']), 'none');
  assert.equal(initSystemOf(tree, ['/bin/app']), 'none');
});
