/* eslint-disable no-control-regex */
// What a guest or a stranger wrote does nothing to a terminal, in whatever format it is shown.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { OperationEvent } from '../api/schemas.ts';
import { jsonEscaped, safeText } from '../lib/terminal-text.ts';
import { BangerError } from '../model/errors.ts';
import { type Cli, createCli } from './cli.ts';
import type { Output } from './streams.ts';
import { frame } from './live-screen.ts';
import { listLines, OUTPUT_FORMATS, showLines } from './output.ts';
import { errorLines, reportError } from './render/error.ts';
import { createStageView, type ProgressMode } from './render/stages.ts';
import { safeLog } from './render/text.ts';

const range = (from: number, to: number): string => String.fromCodePoint(...Array.from({ length: to - from + 1 }, (_, at) => from + at));
/** One of each kind would do; all of them are sent. */
const EVIL = [
  ...[
    range(0, 0x1f),
    range(0x7f, 0x9f),
    '\u00ad\u061c\u180e\u200b\u200e\u200f',
    range(0x2028, 0x202e),
    range(0x2060, 0x206f),
    '\ufeff',
    range(0xfff9, 0xfffb),
  ],
  ...[range(0xe0000, 0xe007f), range(0xe0100, 0xe01ef), '\u001b]0;owned\u0007', '\u009b31m', '\u001b[2J'],
].join('x');
const ACTS =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\uddef]/;

function screen(isTTY: boolean): { cli: Cli; text: () => string } {
  let text = '';
  const output = Object.assign(new PassThrough(), { isTTY, columns: 200, getColorDepth: () => 1 }) as unknown as Output;
  output.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  const env = isTTY ? { TERM: 'xterm' } : {};
  return { cli: createCli({ env, stdin: new PassThrough(), stdout: output, stderr: output, programPath: '/x' }), text: () => text };
}

type Row = { name: string; command: string; deep: { [key: string]: string } };
const ROWS: Row[] = [{ name: `web${EVIL}`, command: EVIL, deep: { [`key${EVIL}`]: EVIL } }];
const columns = [{ title: 'NAME', of: (row: Row) => row.name }];
const view = { columns, wide: [{ title: 'COMMAND', of: (row: Row) => row.command }], name: (row: Row) => row.name };
const showView = { name: (row: Row) => row.name, facts: (row: Row) => [['command', row.command] as const] };

for (const output of OUTPUT_FORMATS) {
  test(`nothing in -o ${output} acts on a terminal (1.7, 12.8)`, async () => {
    const { cli } = screen(false);
    for (const streaming of [{ isStream: false }, { isStream: true }]) {
      const lines = [
        ...(await listLines(cli, { output }, ROWS, view, streaming)),
        ...(await showLines({ output }, ROWS[0], showView as never, streaming)),
      ];
      assert.doesNotMatch(lines.join('\n'), ACTS);
      assert.ok(lines.length > 1);
    }
  });
}

test('JSON stays the same data, in a template too (1.7)', async () => {
  const { cli } = screen(false);
  assert.deepEqual(JSON.parse((await listLines(cli, { output: 'json' }, ROWS, view)).join('\n')), ROWS);
  const [line = ''] = await listLines(cli, { output: 'table', format: '{{json .}}' }, ROWS, view);
  assert.doesNotMatch(line, ACTS);
  assert.deepEqual(JSON.parse(line), ROWS[0]);
  const [plain = ''] = await listLines(cli, { output: 'table', format: '{{.command}} {{.deep}}' }, ROWS, view);
  assert.doesNotMatch(plain, ACTS);
});

test('neither do stages, errors and unescaped output of commands, on a terminal or elsewhere (1.6, 3.3)', () => {
  for (const isTTY of [false, true]) {
    const { cli, text } = screen(isTTY);
    const event = (status: 'started' | 'done' | 'failed'): OperationEvent => ({
      type: 'stage',
      seq: 0,
      atMs: 0,
      stage: 'a',
      title: `boot${EVIL}`,
      status,
      durationMs: 1,
    });
    for (const mode of ['plain', 'json', 'auto', 'brief'] satisfies ProgressMode[]) {
      const stages = createStageView(cli, mode);
      for (const status of ['started', 'failed', 'done'] as const) stages.show(event(status));
      stages.show({ type: 'log', seq: 1, atMs: 0, line: EVIL });
      stages.show({ type: 'progress', seq: 2, atMs: 0, stage: 'a', text: EVIL });
      stages.close();
    }
    reportError(cli, new BangerError('BOOT_FAILED', EVIL, { remedy: EVIL, logPath: EVIL, details: { serialTail: [EVIL], other: EVIL } }));
    reportError(cli, new Error(EVIL));
    assert.doesNotMatch(
      errorLines(cli, new BangerError('BOOT_FAILED', EVIL, { details: { EVIL } }), true).join('\n'),
      /\u009b|\u202e|\u007f/,
    );
    cli.print(`printed ${EVIL}`);
    cli.note(`noted ${EVIL}`);
    const drawn = `${frame([EVIL], 5)}${text()}`;
    // Our own: the line that is drawn again, its colours, and the frame of a live screen.
    assert.doesNotMatch(drawn.replace(/\r\u001b\[2K|\u001b\[(\d*(;\d+)*m|[HKJ])/g, ''), ACTS);
    assert.match(drawn, /\\x9b31m/);
  }
});

test('a log is safe however it is cut, keeps its lines, and stays JSON where it is JSON (3.13, 9.1)', async () => {
  const bytes = Buffer.from(`a\r\nb\u009bc\r\r\n{"x":"\u202e\u{e0041}"}\r`);
  for (let size = 1; size < 9; size++) {
    const chunks = async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    };
    const read = async (escape: (text: string) => string) => Buffer.concat(await Array.fromAsync(safeLog(chunks(), escape))).toString();
    assert.equal(await read(safeText), 'a\nb\\x9bc\n{"x":"\\x202e\\xdb40\\xdc41"}\\x0d');
    assert.match(await read(jsonEscaped), /\{"x":"\\u202e\\udb40\\udc41"\}/);
  }
});
