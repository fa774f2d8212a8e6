import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadOrder, moduleDependencies, moduleName } from './modules.ts';

test('file names and module names are brought together (8.2)', () => {
  assert.equal(moduleName('kernel/drivers/char/hw_random/virtio-rng.ko.xz'), 'virtio_rng');
  assert.equal(moduleName('virtio_net.ko'), 'virtio_net');
});

test('dependencies are read from .modinfo, not from text that only looks like it (8.2)', () => {
  const elf = Buffer.from('\x7fELF…softdepends=wrong\0license=GPL\0depends=virtio,virtio-ring\0name=x\0', 'latin1');
  assert.deepEqual(moduleDependencies(elf), ['virtio', 'virtio_ring']);
  assert.deepEqual(moduleDependencies(Buffer.from('\0depends=\0')), []);
  assert.deepEqual(moduleDependencies(Buffer.from('no modinfo')), []);
});

test('each module is loaded once and after what it needs; built-in ones are left out (8.2)', async () => {
  const graph: Record<string, string[]> = {
    net: ['failover', 'virtio', 'ring'],
    failover: [],
    blk: ['ring', 'virtio'],
    ring: [],
    virtio: ['ring', 'builtin'],
  };
  const order = await loadOrder(['blk', 'net', 'builtin'], async (name) => graph[name]);
  assert.deepEqual(order, ['ring', 'virtio', 'blk', 'failover', 'net']);
});
