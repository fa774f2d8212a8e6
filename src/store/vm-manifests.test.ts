import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Image } from '../model/image.ts';
import { NEVER_RUN, type Vm } from '../model/vm.ts';
import { openStore, type Store } from './store.ts';
import { parseManifest, renderManifest } from './vm-manifests.ts';

let directory: string;
let store: Store;
let unwritten: string[];
const pathOf = ({ id }: { id: string }): string => join(directory, id, 'vm.json');
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'banger-manifests-'));
  unwritten = [];
  store = openStore(':memory:', { pathOf, onUnwritten: (vm) => void unwritten.push(vm.name) });
  store.images.save(image);
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true });
});

const image = { id: '1'.repeat(32), name: 'default', kernelPath: '/k', rootfsPath: '/r', servicePorts: [22] } as unknown as Image;
const web: Vm = {
  ...NEVER_RUN,
  id: 'a'.repeat(32),
  name: 'web',
  state: 'creating',
  imageId: image.id,
  imageName: 'default',
  spec: { vcpuCount: 2, memoryMib: 1024, workDiskBytes: 1, rootOverlayBytes: 2, nat: true },
  networkIndex: 7,
  createdAt: '2026-01-01T00:00:00Z',
  labels: { team: 'shop' },
  forwards: [{ protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, guestPort: 80 }],
};
const read = (): string => readFileSync(pathOf(web), 'utf8');

test('a manifest tells the VM and its image, and follows every change that matters (9.5)', () => {
  store.vms.insert(web);
  mkdirSync(join(directory, web.id));
  const runtime = { bootId: 'b', storageDriver: 'qcow2', process: { pid: 9, startTicks: 8 } };
  store.vms.move(web.id, 'running', { runtime, sshHostKey: 'ssh-ed25519 AAAA' });
  assert.deepEqual(store.manifests.read(web.id), {
    vm: { ...web, state: 'running', runtime, sshHostKey: 'ssh-ed25519 AAAA' },
    image: store.images.find(image.id),
  });
  store.vms.update(web.id, { name: 'shop', spec: { ...web.spec, vcpuCount: 4 } });
  assert.deepEqual([store.manifests.read(web.id)?.vm.name, store.manifests.read(web.id)?.vm.spec.vcpuCount], ['shop', 4]);
  assert.deepEqual(readdirSync(join(directory, web.id)), ['vm.json']);
});

test('a use of the VM writes no manifest (9.5)', () => {
  mkdirSync(join(directory, web.id));
  store.vms.insert(web);
  writeFileSync(pathOf(web), 'untouched');
  store.vms.update(web.id, { lastUsedAt: '2026-01-02T00:00:00Z', lastError: 'something' });
  assert.equal(read(), 'untouched');
});

test('a failed write is reported, and repaired later (9.5)', async () => {
  store.vms.insert(web);
  // A directory stands where the file should be.
  mkdirSync(join(pathOf(web), 'in the way'), { recursive: true });
  store.vms.move(web.id, 'stopped');
  assert.deepEqual(unwritten, ['web']);
  assert.deepEqual(readdirSync(join(directory, web.id)), ['vm.json']);
  rmSync(pathOf(web), { recursive: true });
  await store.manifests.heal([web.id, 'f'.repeat(32)], store.vms.find, new AbortController().signal);
  assert.equal(store.manifests.read(web.id)?.vm.state, 'stopped');
});

test('a damaged manifest, or one of another format or VM, counts as missing (9.5)', () => {
  const good = renderManifest({ vm: web, image: null });
  assert.deepEqual(parseManifest(good), { vm: web, image: null });
  for (const bad of ['', good.slice(0, -5), good.replace('"formatVersion": 1', '"formatVersion": 2'), good.replace('creating', 'asleep')]) {
    assert.equal(parseManifest(bad), undefined, bad);
  }
  mkdirSync(join(directory, 'c'.repeat(32)));
  writeFileSync(pathOf({ id: 'c'.repeat(32) }), good);
  assert.equal(store.manifests.read('c'.repeat(32)), undefined);
});
