// Layout of the superblock: Documentation/filesystems/ext4/super.rst of Linux. Three numbers are read here without dumpe2fs, which would be
// one more confined process for each disk.

/** The number of bytes from a disk's beginning that include the superblock. */
export const EXT4_HEAD_BYTES = 2048;

const SUPERBLOCK = 1024;
const MAGIC = 0xef53;
const STATE_ERRORS = 0x0002;
const INCOMPAT_64BIT = 0x80;

/**
 * Examines the beginning of a disk that a guest has written; whatever is in it, this only compares numbers.
 * @param head the first EXT4_HEAD_BYTES bytes
 * @returns `errors`: the kernel has found errors and marked the file system, and refuses to resize it until it is repaired
 */
export function ext4State(head: Uint8Array): 'good' | 'errors' | 'none' {
  if (head.byteLength < EXT4_HEAD_BYTES) return 'none';
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint16(SUPERBLOCK + 0x38, true) !== MAGIC) return 'none';
  return (view.getUint16(SUPERBLOCK + 0x3a, true) & STATE_ERRORS) === 0 ? 'good' : 'errors';
}

/** @param head of a file system that ext4State recognises @returns its size, bytes */
export function ext4SizeBytes(head: Uint8Array): number {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const u32 = (offset: number): number => view.getUint32(SUPERBLOCK + offset, true);
  const blocks = u32(0x04) + ((u32(0x60) & INCOMPAT_64BIT) === 0 ? 0 : u32(0x150) * 2 ** 32);
  return blocks * 2 ** (10 + Math.min(u32(0x18), 6));
}
