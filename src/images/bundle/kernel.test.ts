import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realHost } from '../../host/host.ts';
import { kernelDependency, packInitramfs, parsePackageStanza } from './kernel.ts';
import { INITRAMFS_MODULES } from './modules.ts';
import { packageProgress, parsePackageList } from './root-packages.ts';

test("the kernel's package is the one that the meta package depends on (8.2)", () => {
  const meta = 'Package: linux-image-cloud-amd64\nVersion: 6.1.9-1\nDepends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), other\n';
  assert.equal(kernelDependency(meta), 'linux-image-6.1.0-56-cloud-amd64');
  assert.equal(kernelDependency(''), undefined);
  const stanza = 'Package: k\nVersion: 2\nDepends: x\nSHA256: ff\n\nPackage: k\nVersion: 1\nSHA256: ee\n';
  assert.deepEqual(parsePackageStanza(stanza), { name: 'k', version: '2', sha256: 'ff' });
  assert.equal(parsePackageStanza('Package: k\n'), undefined);
});

test('the initramfs holds the agent, the modules in loading order, and no module that is built in (8.2)', async () => {
  const tree = await mkdtemp(join(tmpdir(), 'banger-kernel-'));
  try {
    const modules = join(tree, 'lib/modules/6.1.0-test');
    await mkdir(join(modules, 'kernel/drivers'), { recursive: true });
    await writeFile(join(modules, 'modules.builtin'), 'kernel/fs/ext4/ext4.ko\n');
    const present = INITRAMFS_MODULES.filter((name) => name !== 'ext4');
    for (const name of present) {
      const depends = name === 'virtio_mmio' ? 'virtio_ring' : '';
      await writeFile(join(modules, `kernel/drivers/${name.replaceAll('_', '-')}.ko`), `\x7fELF\0depends=${depends}\0`);
    }
    await writeFile(join(modules, 'kernel/drivers/virtio_ring.ko'), '\x7fELF\0depends=\0');
    const archive = await packInitramfs(tree, Buffer.from('agent'), join(tree, 'scratch'), realHost);
    const read = async (path: string): Promise<string> =>
      (await realHost.run(['cpio', '-i', '--quiet', '--to-stdout', path], { input: archive })).stdout;
    assert.equal(await read('init'), 'agent');
    assert.deepEqual((await read('modules/order')).trim().split('\n'), ['virtio_ring.ko', ...present.map((name) => `${name}.ko`)]);

    await rm(join(modules, 'kernel/drivers/virtio-blk.ko'));
    await assert.rejects(packInitramfs(tree, Buffer.from('agent'), join(tree, 'scratch'), realHost), /virtio_blk/);
  } finally {
    await rm(tree, { recursive: true });
  }
});

test('a package list has comments and empty lines (8.1)', () => {
  assert.deepEqual(parsePackageList('# why\n\nudev\n  dbus # bus\n'), ['udev', 'dbus']);
});

test('progress counts fetching, unpacking and setting up over both batches, and never runs backwards (2.5)', () => {
  const progressOf = packageProgress();
  const batch = (name: string): string[] => [
    '0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.',
    `Get:1 http://deb.example/debian bookworm/main amd64 ${name} amd64 2.36-9 [2,757 kB]`,
    `Unpacking ${name}:amd64 (2.36-9) ...`,
    `Setting up ${name} (2.36-9) ...`,
  ];
  const lines = ['Get:1 http://deb.example/debian bookworm/main amd64 Packages [8790 kB]', ...batch('libc6'), ...batch('udev')];
  const seen = lines.map(progressOf).filter((progress) => progress !== undefined);
  assert.deepEqual(
    seen.map(({ text }) => text),
    ['Fetching libc6', 'Unpacking libc6', 'Setting up libc6', 'Fetching udev', 'Unpacking udev', 'Setting up udev'],
  );
  const percents = seen.map(({ fraction }) => Math.round(fraction * 100));
  assert.deepEqual(percents, [13, 27, 40, 60, 80, 100]);
});
