import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeTarHeader, readTar, tarEnd, tarPadding, type TarSink } from './tar.ts';
import { decodeName, encodeName, quoteName } from './byte-names.ts';
import { type TarEntry, TarProblem } from './tar-entry.ts';

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

test('damage and early ends are errors, never the end (3.13)', async () => {
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

test('a name is the bytes that it was, and two names are never one, also as text (11.10)', async () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((some) => Buffer.from(some.map((byte) => byte || 1)));
  fc.assert(
    fc.property(bytes, (name) => assert.deepEqual(encodeName(decodeName(name)), name)),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
      (text) => assert.equal(decodeName(encodeName(text)), text),
    ),
  );
  assert.equal(quoteName(decodeName(Buffer.from('caf\xe9\n\x80', 'latin1'))), String.raw`"caf\xe9\n\x80"`);
  await fc.assert(
    fc.asyncProperty(bytes, bytes, async (path, linkPath) => {
      const made = entry({ path: decodeName(path), linkPath: decodeName(linkPath), type: 'symlink' });
      const { sink, read } = collector();
      await readTar(pieces(Buffer.concat([encodeTarHeader(made), tarEnd()]), 700), sink);
      assert.deepEqual(
        [read[0]?.entry.path, read[0]?.entry.linkPath].map((text) => encodeName(text ?? '')),
        [path, linkPath],
      );
    }),
    { numRuns: 200 },
  );
});

test('global records apply until an entry overrides them, and a label is no entry (8.8)', async () => {
  const meta = (flag: string, records: Readonly<Record<string, string>>): Buffer => {
    const body = Buffer.concat(
      Object.entries(records).map(([key, value]) => {
        const rest = ` ${key}=${value}\n`;
        return Buffer.from(`${rest.length + (rest.length < 9 ? 1 : 2)}${rest}`);
      }),
    );
    return flagged(flag, { path: 'meta', sizeBytes: body.length }, Buffer.concat([body, tarPadding(body.length)]));
  };
  const bytes = Buffer.concat([
    flagged('V', { path: 'backup of monday' }),
    meta('g', { uid: '1234', mtime: '99.5' }),
    encodeTarHeader(entry({ path: 'one', uid: 1 })),
    meta('X', { uid: '5', mtime: '' }),
    encodeTarHeader(entry({ path: 'two', modifiedMs: 7000 })),
    flagged('D', { path: 'listed', sizeBytes: 6 }, Buffer.concat([Buffer.from('Ya\0Nb\0'), tarPadding(6)])),
    encodeTarHeader(entry({ path: 'last' })),
    tarEnd(),
  ]);
  const { sink, read } = collector();
  await readTar(pieces(bytes, 600), sink);
  assert.deepEqual(
    read.map(({ entry: { path, type, uid, modifiedMs, modifiedNs = 0 }, body }) => [path, type, uid, modifiedMs, modifiedNs, body]),
    [
      ['one', 'file', 1234, 99_000, 500_000_000, ''],
      ['two', 'file', 5, 7000, 0, ''],
      ['listed', 'directory', 1234, 99_000, 500_000_000, ''],
      ['last', 'file', 1234, 99_000, 500_000_000, ''],
    ],
  );
});

/** Writes the checksum of what the header says now. */
function sign(header: Buffer): void {
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(sum.toString(8).padStart(6, '0'), 148, 'latin1');
}

/** A header of another type, with what follows it. */
function flagged(flag: string, changes: Partial<TarEntry>, body = Buffer.alloc(0)): Buffer {
  const header = encodeTarHeader(entry(changes));
  header.write(flag, 156, 'latin1');
  sign(header);
  return Buffer.concat([header, body]);
}

test('fractions of seconds come back as they were, and as pax tells those before 1970 (11.10)', async () => {
  for (const [modifiedMs, modifiedNs, text] of [
    [-1000, 500_000_000, '-0.500000000'],
    [-2000, 999_999_999, '-1.000000001'],
    [0, 1, '0.000000001'],
    [1_700_000_000_000, 120_000_000, '1700000000.120000000'],
  ] as const) {
    const header = encodeTarHeader(entry({ modifiedMs, modifiedNs }));
    assert.ok(header.includes(` mtime=${text}\n`), text);
    const { sink, read } = collector();
    await readTar(pieces(Buffer.concat([header, tarEnd()]), 512), sink);
    assert.deepEqual([read[0]?.entry.modifiedMs, read[0]?.entry.modifiedNs], [modifiedMs, modifiedNs]);
  }
});

test('times of any century come back, and what GNU tar writes for them is understood (11.10)', async () => {
  for (const seconds of [-62_135_596_800, -1, 0, 1, 8_589_934_591, 8_589_934_592, 253_402_300_799]) {
    const { sink, read } = collector();
    await readTar(pieces(Buffer.concat([encodeTarHeader(entry({ modifiedMs: seconds * 1000 })), tarEnd()]), 512), sink);
    assert.equal(read[0]?.entry.modifiedMs, seconds * 1000);
  }
  const header = encodeTarHeader(entry({}));
  // -86,400 in base 256.
  Buffer.from('fffffffffffffffffffeae80', 'hex').copy(header, 136);
  sign(header);
  const { sink, read } = collector();
  await readTar(pieces(Buffer.concat([header, tarEnd()]), 512), sink);
  assert.equal(read[0]?.entry.modifiedMs, -86_400_000);
});

test('a wrong map of holes is damage, and readers without support for holes get no such file (11.10)', async () => {
  const sparse = (map: { at: number; sizeBytes: number }[], sizeBytes: number) =>
    Buffer.concat([
      encodeTarHeader(entry({ sizeBytes: 10, sparse: { sizeBytes, pieces: map } })),
      Buffer.from('0123456789'),
      tarPadding(10),
      tarEnd(),
    ]);
  const good = sparse(
    [
      { at: 100, sizeBytes: 4 },
      { at: 200, sizeBytes: 6 },
    ],
    1000,
  );
  const plain = collector();
  await readTar(pieces(good, 512), plain.sink);
  assert.equal(plain.read[0]?.entry.type, 'other');
  const { sink, read } = collector();
  await readTar(pieces(good, 100), { ...sink, takesHoles: true });
  assert.deepEqual([read[0]?.entry.type, read[0]?.entry.sizeBytes, read[0]?.body], ['file', 10, '0123456789']);
  assert.deepEqual(read[0]?.entry.sparse, {
    sizeBytes: 1000,
    pieces: [
      { at: 100, sizeBytes: 4 },
      { at: 200, sizeBytes: 6 },
      { at: 1000, sizeBytes: 0 },
    ],
  });
  for (const [map, size] of [
    [[{ at: 0, sizeBytes: 9 }], 1000],
    [[{ at: 0, sizeBytes: 11 }], 1000],
    [
      [
        { at: 200, sizeBytes: 6 },
        { at: 100, sizeBytes: 4 },
      ],
      1000,
    ],
    [
      [
        { at: 0, sizeBytes: 6 },
        { at: 5, sizeBytes: 4 },
      ],
      1000,
    ],
    [[{ at: 995, sizeBytes: 10 }], 1000],
    [[{ at: 0, sizeBytes: 10 }], 2 ** 60],
  ] as const) {
    await assert.rejects(readTar(pieces(sparse([...map], size), 512), { ...collector().sink, takesHoles: true }), TarProblem);
  }
});
