import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeTarHeader, readTar, type TarEntry, tarEnd, tarPadding, TarProblem, type TarSink } from './tar.ts';

type Read = { entry: TarEntry; body: string };

function collector(): { sink: TarSink; read: Read[] } {
  const read: Read[] = [];
  const sink: TarSink = {
    entry: async (entry) => void read.push({ entry, body: '' }),
    content: async (bytes) => {
      const last = read.at(-1);
      if (last !== undefined) last.body += bytes.toString('latin1');
    },
    entryEnd: async () => undefined,
  };
  return { sink, read };
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const entry = (changes: Partial<TarEntry>) =>
  ({ path: 'f', type: 'file' as const, mode: 0o644, sizeBytes: 0, modifiedMs: 0, linkPath: '', ...changes }) as Parameters<
    typeof encodeTarHeader
  >[0];

test('whatever the name, size and cut, entries come back as they were (3.13)', async () => {
  const name = fc.string({ minLength: 1, maxLength: 160, unit: 'grapheme' }).filter((text) => !text.includes('\0') && text.isWellFormed());
  await fc.assert(
    fc.asyncProperty(name, name, fc.nat(2000), fc.integer({ min: 1, max: 1500 }), async (path, linkPath, length, cut) => {
      const body = 'b'.repeat(length);
      const bytes = Buffer.concat([
        encodeTarHeader(entry({ path, sizeBytes: length, mode: 0o751 })),
        Buffer.from(body),
        tarPadding(length),
        encodeTarHeader(entry({ path: 'l', type: 'symlink', linkPath })),
        tarEnd(),
      ]);
      const { sink, read } = collector();
      await readTar(pieces(bytes, cut), sink);
      assert.deepEqual(
        read.map((one) => [one.entry.path, one.entry.type, one.entry.linkPath, one.body.length]),
        [
          [path, 'file', '', length],
          ['l', 'symlink', linkPath, 0],
        ],
      );
      assert.equal(read[0]?.entry.mode, 0o751);
    }),
    { numRuns: 60 },
  );
});

test('damage and early ends are told, never taken for an end (3.13)', async () => {
  const whole = Buffer.concat([encodeTarHeader(entry({ sizeBytes: 5 })), Buffer.from('hello'), tarPadding(5), tarEnd()]);
  for (const cut of [100, 513, 516]) await assert.rejects(readTar(pieces(whole.subarray(0, cut), 64), collector().sink), TarProblem);
  const flipped = Buffer.from(whole);
  flipped[3] = 0x41;
  await assert.rejects(readTar(pieces(flipped, 512), collector().sink), /checksum/);
  await assert.rejects(readTar(pieces(Buffer.from('tar: not an archive'), 512), collector().sink), TarProblem);
  const { sink, read } = collector();
  await readTar(pieces(Buffer.alloc(0), 1), sink);
  assert.deepEqual(read, []);
});

test('an archive may end with the content of its last file, as layers of umoci do (8.8)', async () => {
  const whole = Buffer.concat([encodeTarHeader(entry({ sizeBytes: 5 })), Buffer.from('hello'), tarPadding(5)]);
  for (const cut of [517, 600]) {
    const { sink, read } = collector();
    await readTar(pieces(whole.subarray(0, cut), 64), sink);
    assert.deepEqual(
      read.map(({ body }) => body),
      ['hello'],
    );
  }
});
