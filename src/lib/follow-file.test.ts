import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openRotatingLog } from '../host/rotating-log.ts';
import { followFile } from './follow-file.ts';

const LOG_BYTES = 1000;

function logFor(t: TestContext): { path: string; write(first: number, count: number): void; follow(): AsyncGenerator<Buffer> } {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  const path = join(directory, 'a.log');
  const log = openRotatingLog(path, LOG_BYTES);
  const over = new AbortController();
  t.after(() => {
    over.abort();
    log.close();
    rmSync(directory, { recursive: true });
  });
  return {
    path,
    write(first, count) {
      for (let line = first; line < first + count; line++) log.write(Buffer.from(lineOf(line)));
    },
    follow: () => followFile(path, { follow: true, signal: over.signal }),
  };
}

const lineOf = (number: number): string => `line ${String(number).padStart(10, '0')}\n`;
const linesOf = (first: number, count: number): string => Array.from({ length: count }, (_, at) => lineOf(first + at)).join('');

/** Reads until the text ends with a line. */
async function readTo(reader: AsyncGenerator<Buffer>, line: number): Promise<string> {
  let text = '';
  while (!text.endsWith(lineOf(line))) {
    const { value } = await reader.next();
    text += String(value);
  }
  return text;
}

/** Lets the followers hear of what was written, as the event loop of a program does all the time. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

test('a follower reads every line of a log once over many rotations (3.13)', async (t) => {
  const { write, follow } = logFor(t);
  write(0, 10);
  const reader = follow();
  let read = await readTo(reader, 9);
  for (let line = 10; line < 2010; line += 50) {
    write(line, 50);
    read += await readTo(reader, line + 49);
  }
  assert.equal(read, linesOf(0, 2010));
});

test('a slow reader loses nothing over rotations (3.13)', async (t) => {
  const { write, follow } = logFor(t);
  write(0, 1);
  const reader = follow();
  assert.equal(await readTo(reader, 0), lineOf(0));
  for (let line = 1; line < 301; line += 60) {
    write(line, 60);
    await turn();
  }
  assert.equal(await readTo(reader, 300), linesOf(1, 300));
});

test('a very slow reader learns how many bytes were dropped, and continues after them (3.13)', async (t) => {
  const { write, follow, path } = logFor(t);
  write(0, 1);
  const reader = follow();
  await readTo(reader, 0);
  for (let line = 1; line < 3001; line += 60) {
    write(line, 60);
    await turn();
  }
  const text = await readTo(reader, 3000);
  const [note, dropped] =
    /\nbanger: (\d+) bytes were dropped here, because they came faster than they were read\n/.exec(text) ?? assert.fail();
  assert.equal(text.length - note.length + Number(dropped), linesOf(1, 3000).length);
  const [before, after] = text.split(note);
  assert.ok(linesOf(1, 3000).startsWith(before ?? '-') && linesOf(1, 3000).endsWith(after ?? '-'));
  assert.deepEqual(readdirSync(dirname(path)).toSorted(), ['a.log', 'a.log.1']);
});

test('a log that is emptied is read from its start, one that begins later is read then, and one that is not followed ends (3.13)', async (t) => {
  const { path, write, follow } = logFor(t);
  const reader = follow();
  const first = readTo(reader, 2);
  write(0, 3);
  assert.equal(await first, linesOf(0, 3));
  truncateSync(path);
  await turn();
  write(3, 2);
  assert.equal(await readTo(reader, 4), linesOf(3, 2));
  const whole: Buffer[] = [];
  for await (const chunk of followFile(path, { follow: false })) whole.push(chunk);
  assert.equal(Buffer.concat(whole).toString(), linesOf(3, 2));
  for await (const chunk of followFile(`${path}.none`, { follow: false })) assert.fail(String(chunk));
});

test('a log that cannot be written stops no process, and reports the lost bytes once it can be written again (9.1)', (t) => {
  const { path } = logFor(t);
  const later = join(dirname(path), 'later');
  const log = openRotatingLog(join(later, 'b.log'), LOG_BYTES);
  log.write(Buffer.from('lost'));
  mkdirSync(later);
  log.write(Buffer.from('kept'));
  log.close();
  assert.equal(readFileSync(join(later, 'b.log'), 'utf8'), '\nbanger: 4 bytes could not be written here\nkept');
});
