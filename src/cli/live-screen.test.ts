import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { createCli } from './cli.ts';
import type { Output } from './streams.ts';
import { frame, openLiveScreen } from './live-screen.ts';

function terminal(isTTY: boolean, term = 'xterm') {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode: (on: boolean) => modes.push(on) });
  const stdout: Output & { text: string } = Object.assign(new PassThrough(), { isTTY, rows: 3, text: '' });
  stdout.on('data', (chunk: Buffer) => (stdout.text += chunk.toString()));
  const cli = createCli({ env: { TERM: term }, stdin, stdout, stderr: new PassThrough(), programPath: '/nowhere' });
  return { cli, stdin, stdout, modes };
}

test('a frame overwrites the last one from the top, clears the rest of it, and never scrolls (3.11)', () => {
  assert.equal(frame(['a', 'b'], 24), '\u001b[Ha\u001b[K\r\nb\u001b[K\u001b[J');
  assert.equal(frame(['a', 'b', 'c'], 2), frame(['a', 'b'], 2));
});

for (const key of ['q', 'Q', '\u0003', '\u0004']) {
  test(`${JSON.stringify(key)} ends the watching, and the terminal is as it was (3.11)`, async () => {
    const { cli, stdin, stdout, modes } = terminal(true);
    const screen = openLiveScreen(cli, false);
    screen.draw(['one']);
    stdin.write('x');
    assert.equal(screen.signal.aborted, false);
    const ended = new Promise((resolve) => screen.signal.addEventListener('abort', resolve));
    stdin.write(key);
    await ended;
    screen.close();
    assert.deepEqual(modes, [true, false]);
    assert.ok(stdout.text.startsWith('\u001b[?1049h\u001b[?25l'), JSON.stringify(stdout.text));
    assert.ok(stdout.text.endsWith('\u001b[?25h\u001b[?1049l'), JSON.stringify(stdout.text));
  });
}

test('a pipe gets plain frames, and programs get nothing between them (3.11, 1.7)', () => {
  for (const [isTTY, term, forPrograms, expected] of [
    [false, 'xterm', false, 'one\n\none\n'],
    [true, 'dumb', false, 'one\n\none\n'],
    [true, 'xterm', true, 'one\none\n'],
  ] as const) {
    const { cli, stdout, modes } = terminal(isTTY, term);
    const screen = openLiveScreen(cli, forPrograms);
    for (let i = 0; i < 2; i++) screen.draw(['one']);
    screen.close();
    assert.deepEqual([stdout.text, modes], [expected, []]);
  }
});
