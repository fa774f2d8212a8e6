import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXT4_HEAD_BYTES, ext4State } from './ext4.ts';

function head(magic: number, state: number): Uint8Array {
  const bytes = Buffer.alloc(EXT4_HEAD_BYTES);
  bytes.writeUInt16LE(magic, 1024 + 56);
  bytes.writeUInt16LE(state, 1024 + 58);
  return bytes;
}

test('a file system that is clean, in use or being recovered is good to grow (5.3)', () => {
  for (const state of [0, 1, 4, 5]) assert.equal(ext4State(head(0xef53, state)), 'good');
});

test('one in which the kernel has found errors is not (5.3)', () => {
  for (const state of [2, 3, 6]) assert.equal(ext4State(head(0xef53, state)), 'errors');
});

test('another file system, an empty disk and a disk that is too short are none (5.3)', () => {
  for (const other of [head(0, 1), head(0x53ef, 1), new Uint8Array(), head(0xef53, 1).subarray(0, 1100)]) {
    assert.equal(ext4State(other), 'none');
  }
});
