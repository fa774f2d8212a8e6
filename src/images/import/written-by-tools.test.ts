// One image as buildah and podman write it (fixtures/make.sh), in each form that they have.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { importOf } from '../../../test/support/images/imported-image.ts';

const archive = (name: string): Buffer => zstdDecompressSync(readFileSync(join(import.meta.dirname, 'fixtures', `${name}.tar.zst`)));

for (const name of ['podman-save', 'podman-oci', 'buildah-oci']) {
  test(`${name}: every file of the layers is unchanged, and it runs as the image says (8.8, 11.10)`, async (t) => {
    const image = await importOf(t, archive(name));
    const { entrypoint, env, user, workdir, stopSignal } = image;
    assert.deepEqual(
      { entrypoint, env, user, workdir, stopSignal },
      { entrypoint: ['/bin/tool', 'a', 'b'], env: { 'my.var': '1' }, user: 'web:web', workdir: '/srv/work', stopSignal: 3 },
    );
    // Only docker's form has health checks. No group of the image is called so.
    assert.equal(image.notes.length, name === 'podman-save' ? 2 : 1, image.notes.join());
    assert.match(image.notes.join(), /\/etc\/group has no "web"/);
    assert.match(image.debugfs('stat /srv/own'), /Mode: +04750[^]*User: +77 +Group: +78[^]*mtime: 0x3a7b8372[^]*user\.note \(4\) = "kept"/);
    // The union file system under these tools copied the file up for its new name, so the third name kept the lower one.
    for (const [path, links] of [
      ['/bin/tool', 2],
      ['/bin/same', 1],
    ] as const)
      assert.match(image.debugfs(`stat ${path}`), new RegExp(`Links: ${links}`));
    assert.equal(image.debugfs('cat /srv/tool'), 'one');
    assert.match(image.debugfs('stat /bin/link'), /Type: symlink[^]*"tool"/);
    assert.match(image.debugfs('stat /tmp'), /Mode: +01777/);
    assert.match(image.debugfs('stat /srv/pipe'), /Type: FIFO/);
    assert.match(image.debugfs('stat /srv/holes'), /Size: 1048576[^]*Blockcount: 0/);
    assert.equal(image.debugfs('cat /srv/caf\xe9'), 'latin');
    assert.doesNotMatch(image.debugfs('ls /etc'), /gone/);
    assert.match(image.debugfs('ls /old'), /new/);
    assert.doesNotMatch(image.debugfs('ls /old'), /deep/);
    assert.match(image.debugfs('stat /moved'), /Type: symlink[^]*"srv"/);
    for (const path of ['/data', '/srv/work']) assert.match(image.debugfs(`stat ${path}`), /Type: directory/);
  });
}

test('several images that podman saved together share a layer, and each is chosen by its name (8.8)', async (t) => {
  const first = await importOf(t, archive('podman-both'), { reference: 'first' });
  assert.equal(first.debugfs('cat /old/deep/file'), 'below');
  const second = await importOf(t, archive('podman-both'), { reference: 'localhost/of-docker:latest' });
  assert.equal(second.debugfs('cat /old/new'), 'new');
});

test('a layer of zstd:chunked, in which podman 4 leaves out zeros that its digest counts, is known by it (8.8)', async (t) => {
  assert.equal((await importOf(t, archive('podman-chunked'))).debugfs('cat /file'), 'one');
});
