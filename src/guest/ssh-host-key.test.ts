import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../host/spawn.ts';
import { makeSshHostKey } from './ssh-host-key.ts';

test('a host key made here is one that OpenSSH reads, and every one is another (6.4)', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'banger-key-'));
  try {
    const [one, two] = [makeSshHostKey(), makeSshHostKey()];
    await writeFile(`${directory}/key`, one.private, { mode: 0o600 });
    const derived = (await run(['ssh-keygen', '-y', '-f', `${directory}/key`])).stdout.trim();
    assert.equal(derived, one.public);
    assert.notEqual(one.public, two.public);
  } finally {
    await rm(directory, { recursive: true });
  }
});
