import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSshHostKey } from '../guest/ssh-host-key.ts';
import { realHost } from '../host/host.ts';
import { clientKey as keyOf } from './client-key.ts';

const clientKey = (stateDirectory: string) => keyOf(stateDirectory, { host: realHost, makeKey: makeSshHostKey });

test('an installation makes one key for itself, which no other user can read (7.4)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-key-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const first = clientKey(directory);
  const [publicKey, again, path] = await Promise.all([first.publicKey(), first.publicKey(), first.path()]);
  assert.match(publicKey, /^ssh-ed25519 /);
  assert.equal(again, publicKey);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.match(readFileSync(path, 'utf8'), /^-----BEGIN OPENSSH PRIVATE KEY-----/);
  assert.equal(await clientKey(directory).publicKey(), publicKey, 'the next daemon uses the same');
  rmSync(path);
  assert.notEqual(await clientKey(directory).publicKey(), publicKey, 'half a pair is of no use');
});
