import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { OUTSIDE_ADDRESS, OUTSIDE_BODY, makeOutside } from './outside.ts';
import { asUser, testUser } from '../user/unprivileged.ts';

const root = { skip: process.getuid?.() === 0 ? false : 'needs root' };
const FETCH = `fetch('http://${OUTSIDE_ADDRESS}/').then((r) => r.text()).then((text) => process.stdout.write(text))`;

test('a user inside reaches the fake host, and the namespaces are gone afterwards', root, async () => {
  const outside = await makeOutside();
  const path = `/run/netns/${outside.commandPrefix.at(-1)}`;
  try {
    assert.ok(existsSync(path), path);
    const [program = '', ...args] = [...outside.commandPrefix, ...asUser(testUser('/tmp'), [process.execPath, '-e', FETCH])];
    assert.equal(spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 }).stdout, OUTSIDE_BODY);
  } finally {
    await outside.close();
    await outside.close();
  }
  assert.equal(existsSync(path), false);
  assert.equal(existsSync(path.replace('-in-', '-out-')), false);
});
