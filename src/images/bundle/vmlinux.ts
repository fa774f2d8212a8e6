import { readFile } from 'node:fs/promises';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { unpackLz4Legacy } from './lz4.ts';
import { given } from '../../lib/given.ts';

export type Compression = 'gzip' | 'xz' | 'zstd' | 'lz4' | 'none';

const MAGICS: readonly [Compression, readonly number[]][] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
  ['none', [0x7f, 0x45, 0x4c, 0x46]],
];

/** @returns how `data` is compressed (`none`: it is an ELF file), or undefined for anything else */
export function detectCompression(data: Uint8Array): Compression | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, index) => data[index] === byte))?.[0];
}

/**
 * @param image a bzImage: real-mode code, then the protected-mode part, whose header gives the position of the compressed kernel
 *   (Documentation/arch/x86/boot.rst: setup_sects 0x1f1, "HdrS" 0x202, version 0x206, payload_offset 0x248, payload_length 0x24c)
 * @returns the compressed kernel. The kernel's build appends four bytes with the unpacked size to all formats but gzip, whose own trailer
 * holds it. They are left out, because unpackers stumble over them.
 * @throws BangerError INVALID_INPUT if it is no bzImage
 */
export function kernelPayload(image: Buffer): Buffer {
  if (image.length < 0x250 || image.toString('latin1', 0x202, 0x206) !== 'HdrS' || image.readUInt16LE(0x206) < 0x208) {
    throw new BangerError('INVALID_INPUT', 'The kernel is not a bzImage of boot protocol 2.08 or newer.');
  }
  const setupSectors = image[0x1f1] === 0 ? 4 : (image[0x1f1] ?? 4);
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c));
  const compression = detectCompression(payload);
  return compression === 'gzip' || compression === 'none' ? payload : payload.subarray(0, payload.length - 4);
}

/** @throws BangerError INVALID_INPUT unless it is a 64-bit little-endian x86 executable (elf(5)) */
export function checkVmlinux(elf: Buffer): void {
  const executable = elf.length > 64 && detectCompression(elf) === 'none' && elf[4] === 2 && elf[5] === 1;
  if (!executable || elf.readUInt16LE(18) !== 62) {
    throw new BangerError('INVALID_INPUT', 'The unpacked kernel is not a 64-bit x86 ELF file.');
  }
}

/**
 * Unpacks by the magic bytes. Only xz needs a program (every Debian has it): the kernel's payload uses its x86 filter.
 * @param scratchPath a file for that program; removed afterwards
 * @throws BangerError UNSUPPORTED for an unknown compression
 */
export async function decompress(data: Buffer, scratchPath: string, host: Host, signal?: AbortSignal): Promise<Buffer> {
  switch (detectCompression(data)) {
    case 'none':
      return data;
    case 'lz4':
      return unpackLz4Legacy(data);
    case 'gzip':
      return gunzipSync(data);
    case 'zstd':
      return zstdDecompressSync(data);
    case 'xz':
      return decompressXz(data, scratchPath, host, signal);
    case undefined:
      throw new BangerError('UNSUPPORTED', "banger does not support the kernel's compression.");
  }
}

/** A kernel has some 60 MB, a module less. */
const MOST_KERNEL_BYTES = 512 * 1024 ** 2;

async function decompressXz(data: Buffer, scratchPath: string, host: Host, signal?: AbortSignal): Promise<Buffer> {
  const script = 'exec xz --decompress --stdout --single-stream --threads=1 > "$1"';
  try {
    await host.writeFileAtomic(scratchPath, '');
    await host.runConfined(
      ['sh', '-c', script, 'xz', host.confinedPath(0)],
      { files: [scratchPath], limits: { fileBytes: MOST_KERNEL_BYTES } },
      { input: data, ...given({ signal }) },
    );
    return await readFile(scratchPath);
  } finally {
    await host.removeTree(scratchPath);
  }
}
