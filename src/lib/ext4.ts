// Layout of the superblock: Documentation/filesystems/ext4/super.rst of Linux.
// Three numbers are read here in place of by dumpe2fs, which would be one more confined process for each disk that is looked at.

/** How much of a disk must be read to see its superblock, bytes. */
export const EXT4_HEAD_BYTES = 2048;

const SUPERBLOCK = 1024;
const MAGIC = 0xef53;
const STATE_ERRORS = 0x0002;
const INCOMPAT_64BIT = 0x80;

/**
 * Looks at the beginning of a disk that a guest has written; whatever is in it, this only compares numbers.
 * @param head the first EXT4_HEAD_BYTES bytes
 * @returns `errors`: the kernel has found some and marked it, and refuses to resize it until it was repaired
 */
export function ext4State(head: Uint8Array): 'good' | 'errors' | 'none' {
  if (head.byteLength < EXT4_HEAD_BYTES) return 'none';
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint16(SUPERBLOCK + 0x38, true) !== MAGIC) return 'none';
  return (view.getUint16(SUPERBLOCK + 0x3a, true) & STATE_ERRORS) === 0 ? 'good' : 'errors';
}

/** @param head of a file system that ext4State knows @returns its size, bytes */
export function ext4SizeBytes(head: Uint8Array): number {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const u32 = (offset: number): number => view.getUint32(SUPERBLOCK + offset, true);
  const blocks = u32(0x04) + ((u32(0x60) & INCOMPAT_64BIT) === 0 ? 0 : u32(0x150) * 2 ** 32);
  return blocks * 2 ** (10 + Math.min(u32(0x18), 6));
}
