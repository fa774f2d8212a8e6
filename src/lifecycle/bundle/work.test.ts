// Two daemons with one bundle, as of two installations of a user, or of a checkout and its tests.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { packagedBundle, temporaryDirectory } from '../../../test/support/images/bundle-fixture.ts';
import { realHost } from '../../host/host.ts';
import { resolveDirectories } from '../../lib/directories.ts';
import { Operations } from '../../context/operations.ts';
import { bundlePath } from '../../model/image.ts';
import type { Vm } from '../../model/vm.ts';
import { openStore } from '../../store/store.ts';
import { bundleParts, type KnownBundle } from './parts.ts';
import type { Places } from './places.ts';
import { bundleWork } from './work.ts';
import { vmRecord } from '../../../test/support/daemon/vm-record.ts';

const VM_ID = 'a'.repeat(32);
const vmOf = (imageId: string): Vm => vmRecord({ id: VM_ID, state: 'running', imageId });

/** As much of a daemon as deals with the bundle in `root`. */
async function startDaemon(t: TestContext, root: string, name: string) {
  const runtime = join(root, 'runtime');
  const directories = resolveDirectories({ BANGER_STATE_DIR: join(root, name) }, root, 1000);
  mkdirSync(directories.stateDirectory);
  const store = openStore(join(directories.stateDirectory, 'banger.db'));
  t.after(() => store.close());
  const places: Places = {
    ...{ bundle: { besideProgram: join(root, 'none'), checkout: runtime }, buildDirectory: runtime },
    ...{ sourceRoot: null, packageRoot: root, cacheDirectory: join(root, `${name}.cache`) },
  };
  const known: { present: KnownBundle | undefined } = { present: undefined };
  const parts = await bundleParts({
    ...{ host: realHost, store, stateDirectory: directories.stateDirectory, defaultImage: 'default', warn: () => undefined },
    ...{ places, known, makeNetworks: () => [] },
  });
  const operations = new Operations({ store: store.operations, newId: () => randomBytes(6).toString('hex'), now: () => new Date() });
  const work = bundleWork({
    ...{ places, host: realHost, operations, openOutputLog: () => assert.fail('nothing is built') },
    ...{ onBuilt: () => parts.refresh(), images: () => store.images.list() },
  });
  return {
    store,
    stateDirectory: directories.stateDirectory,
    refresh: () => parts.refresh(),
    programs: (): string[] => {
      const bundle = known.present?.bundle ?? assert.fail('it has no bundle');
      return [bundlePath(bundle, 'forwarder'), bundlePath(bundle, 'rootfs')];
    },
    fetch: async (mark: string) => {
      const { manifest } = await packagedBundle(root, mark);
      const { state, error } = await operations.settled(work.fetch({ manifestUrl: pathToFileURL(manifest).href }).id);
      assert.equal(state, 'done', error?.message ?? '');
    },
  };
}

test("a rebuilt bundle keeps the files of other daemons' VMs for as long as they need them (2.5, 3.5)", async (t) => {
  const root = temporaryDirectory(t);
  const builder = await startDaemon(t, root, 'builder');
  await builder.fetch('one');
  const other = await startDaemon(t, root, 'other');
  const [forwarder = '', rootfs = ''] = other.programs();
  const [image] = other.store.images.list();
  other.store.vms.insert(vmOf(image?.id ?? ''));
  const areThere = () => [forwarder, rootfs].map((path) => existsSync(path));

  await builder.fetch('two');
  assert.deepEqual(areThere(), [true, true]);
  assert.notDeepEqual(builder.programs(), other.programs());

  // It has turned to the new bundle, but its VM has the old image.
  await other.refresh();
  await builder.fetch('three');
  assert.deepEqual(areThere(), [false, true]);

  other.store.vms.remove(VM_ID);
  other.store.images.remove(image?.id ?? '');
  await other.refresh();
  await builder.fetch('four');
  assert.deepEqual(areThere(), [false, false]);
});

test('a daemon without a state directory keeps no files (2.5)', async (t) => {
  const root = temporaryDirectory(t);
  const builder = await startDaemon(t, root, 'builder');
  await builder.fetch('one');
  const other = await startDaemon(t, root, 'other');
  const before = other.programs();
  rmSync(other.stateDirectory, { recursive: true });
  await builder.fetch('two');
  assert.deepEqual(
    before.filter((path) => existsSync(path)),
    [],
  );
  assert.equal(readdirSync(join(root, 'runtime', 'leases')).length, 1);
});

test('a daemon starts although its lease cannot be written (2.5)', async (t) => {
  const root = temporaryDirectory(t);
  const builder = await startDaemon(t, root, 'builder');
  await builder.fetch('one');
  rmSync(join(root, 'runtime', 'leases'), { recursive: true });
  writeFileSync(join(root, 'runtime', 'leases'), 'no directory');
  assert.equal((await startDaemon(t, root, 'other')).programs().length, 2);
});
