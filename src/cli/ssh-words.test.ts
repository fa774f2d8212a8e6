import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSshWords } from './ssh-words.ts';

test('words are read as ssh reads its own (6.4)', () => {
  const cases: [string, { options?: string; to?: string; command?: string }][] = [
    ['web', { to: 'web' }],
    ['web ls -la', { to: 'web', command: 'ls -la' }],
    ['web -- ls -- -x', { to: 'web', command: 'ls -- -x' }],
    ['web -- -x', { to: 'web', command: '-x' }],
    ['-A web', { options: '-A', to: 'web' }],
    ['web -A', { options: '-A', to: 'web' }],
    ['-v web -L 8080:localhost:80 -N', { options: '-v -L 8080:localhost:80 -N', to: 'web' }],
    ['web -L8080:localhost:80', { options: '-L 8080:localhost:80', to: 'web' }],
    ['web -NL 1:l:2 -o User=x', { options: '-N -L 1:l:2 -o User=x', to: 'web' }],
    ['web -oForwardAgent=yes id', { options: '-o ForwardAgent=yes', to: 'web', command: 'id' }],
    ['-l dev web', { options: '-l dev', to: 'web' }],
    ['web -D 1080 -- sleep 9', { options: '-D 1080', to: 'web', command: 'sleep 9' }],
    ['-A -- ls', { options: '-A', command: 'ls' }],
    ['web -', { to: 'web', command: '-' }],
  ];
  for (const [typed, { options = '', to, command = '' }] of cases) {
    const read = readSshWords(typed.split(' '), false);
    assert.deepEqual([read.options.join(' '), read.destination, read.command.join(' ')], [options, to, command], typed);
  }
  assert.deepEqual(readSshWords(['-x', 'y'], true), { options: [], destination: undefined, command: ['-x', 'y'] });
});

test('a switch that ssh does not have is refused before the daemon is contacted (6.4)', () => {
  for (const typed of ['web --tty', 'web -z', 'web -AZ ls', '--agent web', 'web -L', 'web -o', '-p']) {
    assert.throws(() => readSshWords(typed.split(' '), false), { code: 'USAGE' }, typed);
  }
});
