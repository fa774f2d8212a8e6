import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { OperationEvent } from '../../api/schemas.ts';
import { createCli, type Cli } from '../cli.ts';
import type { Output } from '../streams.ts';
import { createStageView } from './stages.ts';
import { renderFacts, renderTable } from './table.ts';
import { paint } from './text.ts';
import { safeLine, safeText } from '../../lib/terminal-text.ts';

function screen(isTTY: boolean, env: Record<string, string> = {}): { cli: Cli; text: () => string } {
  let text = '';
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 40, getColorDepth: () => 1 }) as unknown as Output;
  stderr.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  return { cli: createCli({ env, stdin: new PassThrough(), stdout: stderr, stderr, programPath: '/x' }), text: () => text };
}

const stage = (status: 'started' | 'done' | 'failed' | 'skipped', seq = 0): OperationEvent => ({
  type: 'stage',
  seq,
  atMs: 0,
  stage: 'boot',
  title: 'boot',
  status,
  ...(status === 'done' ? { durationMs: 1400 } : {}),
});

test('columns are two spaces apart, wide characters count twice, nothing is cut, no trailing blanks (1.7)', () => {
  const rows = [
    { a: '日本', b: 'x' },
    { a: 'abcdef', b: '' },
  ];
  const lines = renderTable(
    [
      { title: 'A', of: (r) => r.a },
      { title: 'B', of: (r) => r.b },
    ],
    rows,
  );
  assert.deepEqual(lines, ['A       B', '日本    x', 'abcdef']);
  assert.deepEqual(
    renderFacts([
      ['id', '1'],
      ['gone', null],
      ['state', 'up'],
    ]),
    ['id:     1', 'state:  up'],
  );
});

test('text of a guest cannot act on the terminal (7.2)', () => {
  assert.equal(safeLine('a\u001b[31mb\u009bc\rd\u202ee'), 'a\\x1b[31mb\\x9bc\\x0dd\\x202ee');
  assert.equal(safeText('a\r\nb\tc\u0007\n'), 'a\nb\tc\\x07\n');
  assert.equal(safeLine('grüße 日本 ✓'), 'grüße 日本 ✓');
  assert.match(renderTable([{ title: 'T', of: (x: string) => x }], ['\u001b]0;owned\u0007'])[1] ?? '', /^\\x1b/);
});

test('no colour where it is no terminal (1.7)', () => {
  assert.equal(paint(new PassThrough() as Output, 'red', 'x'), 'x');
});

test('on a terminal the running stage lives in one line that its end replaces (3.3)', () => {
  const { cli, text } = screen(true);
  const view = createStageView(cli, 'auto');
  view.show(stage('started'));
  view.show({ type: 'progress', seq: 1, atMs: 0, stage: 'boot', text: `half\u001b${'x'.repeat(90)}`, fraction: 0.5 });
  const live = text().split('\r\u001b[2K').at(-1) ?? '';
  assert.match(live, /^\S boot {2}0ms {2}half\\x1bx+$/);
  assert.ok(live.length <= 39, 'a live line that wraps could not be replaced');
  view.show(stage('done', 2));
  view.close();
  assert.ok(text().endsWith('\r\u001b[2K✓ boot  1.4s\n\r\u001b[2K'));
});

test('without a terminal, in CI, on a dumb one or with --progress plain there are only whole lines (3.3)', () => {
  const cases: [boolean, Record<string, string>, 'auto' | 'plain'][] = [
    [false, {}, 'auto'],
    [true, { CI: '1' }, 'auto'],
    [true, { TERM: 'dumb' }, 'auto'],
    [true, {}, 'plain'],
  ];
  for (const [isTTY, env, mode] of cases) {
    const { cli, text } = screen(isTTY, env);
    const view = createStageView(cli, mode);
    for (const event of [stage('started'), stage('done', 1), stage('skipped', 2), stage('failed', 3)]) view.show(event);
    view.show({ type: 'log', seq: 4, atMs: 0, line: 'Setting up' });
    view.close();
    assert.equal(text(), '✓ boot  1.4s\n✗ boot\n  Setting up\n');
  }
});

test('--progress json is the stream itself, none is nothing (1.7)', () => {
  const json = screen(true);
  createStageView(json.cli, 'json').show(stage('started'));
  assert.deepEqual(JSON.parse(json.text()), stage('started'));
  const none = screen(true);
  createStageView(none.cli, 'none').show(stage('started'));
  assert.equal(none.text(), '');
});

test('plain mode has words where there were signs, and no line that lives (1.7)', () => {
  const { cli, text } = screen(true, { BANGER_PLAIN: '1' });
  const view = createStageView(cli, 'auto');
  for (const status of ['started', 'done', 'failed', 'undone'] as const) view.show({ ...stage('done'), status } as OperationEvent);
  view.close();
  assert.equal(text(), 'done: boot  1.4s\nfailed: boot  1.4s\nundone: boot  1.4s\n');
});
