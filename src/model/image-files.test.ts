import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ext4Problem, IMAGE_HEAD_BYTES, initramfsProblem, kernelProblem } from './image-files.ts';

const head = (bytes: Uint8Array, at = 0): Buffer => {
  const buffer = Buffer.alloc(IMAGE_HEAD_BYTES);
  buffer.set(bytes, at);
  return buffer;
};

test('kernels and archives are known by their beginnings, on this processor alone (8.5)', () => {
  const elf = Buffer.from('7f454c4602010100000000000000000002003e00', 'hex');
  assert.equal(kernelProblem(head(elf)), undefined);
  assert.equal(kernelProblem(head(Buffer.from('HdrS'), 0x202)), undefined);
  const arm = Buffer.from(elf);
  arm[18] = 0xb7;
  for (const other of [arm, Buffer.from('MZ'), Buffer.alloc(0)]) assert.match(kernelProblem(head(other)) ?? '', /neither/);
  for (const magic of ['303730373031', '1f8b', '28b52ffd', 'fd377a585a00', '02214c18']) {
    assert.equal(initramfsProblem(head(Buffer.from(magic, 'hex'))), undefined, magic);
  }
  assert.match(initramfsProblem(head(elf)) ?? '', /not a cpio/);
  assert.match(kernelProblem(new Uint8Array(3)) ?? '', /neither/);
});

test('a file system larger than its file, a damaged one and none at all are distinguished (8.5)', () => {
  const superblock = Buffer.alloc(0x160);
  superblock.writeUInt32LE(1024, 0x04);
  superblock.writeUInt32LE(2, 0x18);
  superblock.writeUInt16LE(0xef53, 0x38);
  superblock.writeUInt16LE(1, 0x3a);
  const problem = (fileBytes: number) => ext4Problem(head(superblock, 1024), fileBytes);
  assert.equal(problem(4 * 1024 ** 2), undefined);
  assert.match(problem(4 * 1024 ** 2 - 1) ?? '', /has 4194304 bytes/);
  superblock.writeUInt32LE(0x80, 0x60);
  superblock.writeUInt32LE(1, 0x150);
  assert.match(problem(2 ** 40) ?? '', /has 17592190238720 bytes/);
  superblock.writeUInt16LE(2, 0x3a);
  assert.match(problem(2 ** 50) ?? '', /damaged/);
  assert.match(ext4Problem(head(Buffer.alloc(0)), 2 ** 50) ?? '', /no ext4/);
});
