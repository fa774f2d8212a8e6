import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INITRAMFS_MODULES, loadOrder, moduleDependencies, moduleName } from './modules.ts';

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

test('a checksum that a file system asks for while it is mounted is loaded before it (8.7)', () => {
  const elf = Buffer.from('\0softdep=pre: crypto-crc32c mbcache post: other\0depends=jbd2\0', 'latin1');
  assert.deepEqual(moduleDependencies(elf), ['jbd2', 'crc32c_generic', 'crc32c', 'mbcache']);
  assert.deepEqual(moduleDependencies(Buffer.from('\0softdep=post: other\0', 'latin1')), []);
});

test('each module is loaded once and after its dependencies; built-in ones are left out (8.2)', async () => {
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

test('the initramfs finds the devices of both VMMs: the bus first, then disk, network, and a way to the agent (4.1, 4.2)', () => {
  assert.equal(INITRAMFS_MODULES[0], 'virtio_mmio');
  for (const name of [
    'virtio_blk',
    'virtio_net',
    'virtio_rng',
    'virtio_balloon',
    'virtio_console',
    'vmw_vsock_virtio_transport',
  ] as const) {
    assert.ok(INITRAMFS_MODULES.includes(name), name);
  }
});
