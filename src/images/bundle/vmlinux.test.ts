import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { realHost } from '../../host/host.ts';
import { unpackLz4Legacy } from './lz4.ts';
import { checkVmlinux, decompress, detectCompression, kernelPayload } from './vmlinux.ts';

/** More than one LZ4 block, with long runs, short repeats and parts that do not compress. */
const SAMPLE = Buffer.concat([
  Buffer.alloc(9_000_000, 0),
  Buffer.from('abcabcabc'.repeat(5000)),
  randomBytes(70_000),
  Buffer.from('xy'.repeat(150)),
]);

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'banger-vmlinux-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** A bzImage as far as its header says where the payload lies. */
function bzImage(payload: Buffer): Buffer {
  const setup = Buffer.alloc(5 * 512);
  setup[0x1f1] = 4;
  setup.write('HdrS', 0x202, 'latin1');
  setup.writeUInt16LE(0x20f, 0x206);
  setup.writeUInt32LE(100, 0x248);
  setup.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([setup, Buffer.alloc(100), payload, Buffer.from('what follows the payload')]);
}

test('every compression of kernels is recognised by its magic bytes (8.2)', () => {
  assert.equal(detectCompression(gzipSync('x')), 'gzip');
  assert.equal(detectCompression(zstdCompressSync('x')), 'zstd');
  assert.equal(detectCompression(Buffer.from('fd377a585a00', 'hex')), 'xz');
  assert.equal(detectCompression(Buffer.from('02214c18', 'hex')), 'lz4');
  assert.equal(detectCompression(Buffer.from('\x7fELF')), 'none');
  assert.equal(detectCompression(Buffer.from('MZ')), undefined);
});

test('what lz4, xz, gzip and zstd packed comes out of a bzImage as it was (8.2)', async () => {
  await inDirectory(async (directory) => {
    const plain = join(directory, 'plain');
    await writeFile(plain, SAMPLE);
    await realHost.run(['lz4', '-l', '-9', '-q', plain, `${plain}.lz4`]);
    await realHost.run(['xz', '--keep', '-0', '--check=crc32', plain]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(SAMPLE.length);
    const payloads = [
      Buffer.concat([await readFile(`${plain}.lz4`), size]),
      Buffer.concat([await readFile(`${plain}.xz`), size]),
      Buffer.concat([zstdCompressSync(SAMPLE), size]),
      gzipSync(SAMPLE),
    ];
    for (const payload of payloads) {
      const unpacked = await decompress(kernelPayload(bzImage(payload)), join(directory, 'scratch'), realHost);
      assert.ok(unpacked.equals(SAMPLE), `${detectCompression(payload)} differs`);
    }
  });
});

test('damaged LZ4 data is refused instead of read or written beyond its end (8.2)', () => {
  const block = (hex: string): Buffer => {
    const data = Buffer.from(hex, 'hex');
    const head = Buffer.from('02214c1800000000', 'hex');
    head.writeUInt32LE(data.length, 4);
    return Buffer.concat([head, data]);
  };
  for (const hex of ['1061ffff', '10610000', 'f0ff', '5061', '106101']) {
    assert.throws(() => unpackLz4Legacy(block(hex)), { code: 'INVALID_INPUT' }, hex);
  }
  assert.throws(() => unpackLz4Legacy(Buffer.from('02214c18ffffff00', 'hex')), { code: 'INVALID_INPUT' });
});

test('a file that is no kernel is refused (8.2)', () => {
  assert.throws(() => kernelPayload(Buffer.alloc(4096)), { code: 'INVALID_INPUT' });
  const elf = Buffer.alloc(128);
  elf.write('\x7fELF', 0, 'latin1');
  elf[4] = 2;
  elf[5] = 1;
  elf.writeUInt16LE(183, 18);
  assert.throws(() => checkVmlinux(elf), { code: 'INVALID_INPUT' });
  elf.writeUInt16LE(62, 18);
  checkVmlinux(elf);
});
