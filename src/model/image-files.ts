// What the beginning of a file says about its kind. Nothing more of it is trusted.
import { EXT4_HEAD_BYTES, ext4SizeBytes, ext4State } from '../lib/ext4.ts';

/** How much of a file the checks read, bytes. */
export const IMAGE_HEAD_BYTES = EXT4_HEAD_BYTES;

const startsWith = (head: Uint8Array, magic: readonly number[], at = 0): boolean => magic.every((byte, i) => head[at + i] === byte);
const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')];

/** ELF64, little-endian, e_machine x86-64 (elf(5)). */
const isVmlinux = (head: Uint8Array): boolean => startsWith(head, [0x7f, 0x45, 0x4c, 0x46, 2, 1]) && startsWith(head, [0x3e, 0], 18);
/** Documentation/arch/x86/boot.rst of Linux: "HdrS" at 0x202. */
const isBzImage = (head: Uint8Array): boolean => startsWith(head, ascii('HdrS'), 0x202);

/** @returns what is wrong with a file that should be a kernel, for people; undefined if nothing is */
export function kernelProblem(head: Uint8Array): string | undefined {
  return isVmlinux(head) || isBzImage(head) ? undefined : 'it is neither a vmlinux nor a bzImage for x86-64';
}

/** cpio "newc", or one of the compressions that the kernel unpacks (usr/Kconfig of Linux). */
const INITRAMFS_MAGICS: readonly (readonly number[])[] = [
  ascii('070701'),
  ascii('070702'),
  [0x1f, 0x8b],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
  [0x02, 0x21, 0x4c, 0x18],
  ascii('BZh'),
];

/** @returns what is wrong with a file that should be an initramfs */
export function initramfsProblem(head: Uint8Array): string | undefined {
  return INITRAMFS_MAGICS.some((magic) => startsWith(head, magic)) ? undefined : 'it is not a cpio archive, compressed or not';
}

/** @returns what is wrong with a file that should be an ext4 file system */
export function ext4Problem(head: Uint8Array, fileBytes: number): string | undefined {
  const state = ext4State(head);
  if (state === 'none') return 'it contains no ext4 file system';
  if (state === 'errors') return 'its ext4 file system is marked as damaged; e2fsck repairs it';
  const sizeBytes = ext4SizeBytes(head);
  return sizeBytes > fileBytes ? `its ext4 file system has ${sizeBytes} bytes, and the file only ${fileBytes}` : undefined;
}
