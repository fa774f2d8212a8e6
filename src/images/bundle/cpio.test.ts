import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../host/spawn.ts';
import { writeCpio } from './cpio.ts';

test('cpio lists the archive as it was meant, with a device node that needed no privilege (8.2)', async () => {
  const archive = writeCpio([
    { type: 'directory', path: 'dev', mode: 0o755 },
    { type: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { type: 'file', path: 'init', mode: 0o755, content: Buffer.from('12345') },
    { type: 'file', path: 'empty', mode: 0o644, content: new Uint8Array() },
  ]);
  const { stdout } = await run(['cpio', '-tv', '--quiet', '--numeric-uid-gid'], { input: archive });
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.replaceAll(/\s+/g, ' ').replace(/Jan 1 1970 /, ''));
  assert.deepEqual(rows, [
    'drwxr-xr-x 2 0 0 0 dev',
    'crw------- 1 0 0 5, 1 dev/console',
    '-rwxr-xr-x 1 0 0 5 init',
    '-rw-r--r-- 1 0 0 0 empty',
  ]);
  const content = await run(['cpio', '-i', '--quiet', '--to-stdout', 'init'], { input: archive });
  assert.equal(content.stdout, '12345');
});

test('the same entries give the same bytes (8.2)', () => {
  const entries = [{ type: 'file', path: 'a', mode: 0o644, content: Buffer.from('x') }] as const;
  assert.deepEqual(writeCpio(entries), writeCpio(entries));
  assert.equal(writeCpio(entries).length % 4, 0);
});
