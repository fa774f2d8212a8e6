import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { feedUnpacked, openUnpacked, packed } from './packed.ts';

function placeIn(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'f');
}

/** Parts of odd sizes: some zeros, some random. */
const parts = Array.from({ length: 150 }, (_, at) => (at % 3 === 0 ? randomBytes(65_521) : Buffer.alloc(65_536 + at)));
const whole = Buffer.concat(parts);

async function packInto(path: string, content: readonly Buffer[]): Promise<void> {
  const file = await open(path, 'wx');
  for await (const block of packed(Readable.from(content))) await file.write(block);
  await file.close();
}

const sumOf = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

test('what was packed in blocks comes back as it was, and takes less room (10.5)', async (t) => {
  const path = placeIn(t);
  await packInto(path, parts);
  assert.equal(sumOf(await buffer(openUnpacked(path))), sumOf(whole));
  const { size } = statSync(path);
  assert.ok(size < whole.length * 0.4, `${size} of ${whole.length}`);
});

test('nothing is packed as nothing (10.5)', async (t) => {
  const path = placeIn(t);
  await packInto(path, []);
  assert.equal((await buffer(openUnpacked(path))).length, 0);
});

test('a file that is damaged, cut off or not there is told, and its reader finds the end (10.5, 9.5)', async (t) => {
  const path = placeIn(t);
  const fed = (): { failed: Promise<never>; closed: Promise<void> } => {
    const input = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    const closed = new Promise<void>((resolve) => input.once('close', resolve));
    return { failed: feedUnpacked(path, input), closed };
  };
  const assertTold = async (): Promise<void> => {
    const { failed, closed } = fed();
    await assert.rejects(failed);
    await closed;
  };
  await assertTold();
  await packInto(path, parts);
  const file = await open(path, 'r+');
  await file.write(Buffer.from('damage'), 0, 6, 500_000);
  await file.close();
  await assertTold();
  rmSync(path);
  await packInto(path, parts);
  truncateSync(path, 700_001);
  await assertTold();
});

test('a process that ends early is no failure of its input (10.5)', async (t) => {
  const path = placeIn(t);
  await packInto(path, parts);
  const input = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const closed = new Promise<void>((resolve) => input.once('close', resolve));
  const failed = feedUnpacked(path, input);
  await closed;
  const first = await Promise.race([failed, new Promise((resolve) => setImmediate(resolve, 'nothing'))]);
  assert.equal(first, 'nothing');
});
