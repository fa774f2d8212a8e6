// Layout of the superblock: Documentation/filesystems/ext4/super.rst of Linux.

/** How much of a disk must be read to see its superblock, bytes. */
export const EXT4_HEAD_BYTES = 2048;

const SUPERBLOCK = 1024;
const MAGIC = 0xef53;
const STATE_ERRORS = 0x0002;

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
