import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUNDLE_PARTS, type Bundle } from '../../model/image.ts';
import { openStore } from '../../store/store.ts';
import { imageOfBundle, saveDefaultImage } from './default-image.ts';
import { vmRecord } from '../../../test/support/daemon/vm-record.ts';

/** @param content tells bundles of different content apart */
function bundle(directory: string, content: string): Bundle {
  const file = (part: string) => ({ path: `${part}-${content}`, sizeBytes: 1, sha256: `${part}${content}` });
  return {
    directory,
    manifest: {
      formatVersion: 1,
      architecture: 'x86_64',
      distribution: 'debian trixie',
      kernelVersion: '6.12',
      builtAt: '2026-01-01T00:00:00Z',
      inputsHash: '',
      packages: ['curl'],
      packagesHash: 'hash',
      files: Object.fromEntries(BUNDLE_PARTS.map((part) => [part, file(part)])) as Bundle['manifest']['files'],
    },
  };
}

const vm = (imageId: string) => vmRecord({ imageId });

test('a default image keeps its id when its paths move; a new bundle is another image, and the old one stays while VMs need it (8.2)', (t) => {
  const store = openStore(':memory:');
  t.after(() => store.close());
  const names = () => store.images.list().map(({ name }) => name);
  const first = imageOfBundle(bundle('/one', 'a'), 'default');
  saveDefaultImage(store, first);
  saveDefaultImage(store, imageOfBundle(bundle('/two', 'a'), 'default'));
  assert.deepEqual([store.images.find(first.id)?.rootfsPath, names()], ['/two/rootfs-a', ['default']]);
  assert.deepEqual([first.packages, first.workSeedFingerprint], [['curl'], 'workSeeda']);
  store.vms.insert(vm(first.id));
  const second = imageOfBundle(bundle('/two', 'b'), 'default');
  saveDefaultImage(store, second);
  assert.deepEqual(names(), ['default', `default-${first.id.slice(0, 8)}`]);
  store.vms.remove('a'.repeat(32));
  saveDefaultImage(store, imageOfBundle(bundle('/two', 'c'), 'default'));
  assert.equal(store.images.find(second.id), undefined);
});

test('a default image in the care of banger or of the user is left alone (8.2)', (t) => {
  for (const own of [{ managed: true }, { origin: 'registered' as const }]) {
    const store = openStore(':memory:');
    t.after(() => store.close());
    const kept = { ...imageOfBundle(bundle('/one', 'a'), 'default'), ...own };
    store.images.save(kept);
    for (const content of ['a', 'b']) saveDefaultImage(store, imageOfBundle(bundle('/two', content), 'default'));
    assert.deepEqual(store.images.list(), [kept]);
  }
});
