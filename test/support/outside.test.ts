import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { type LeakScope, leaksBetween, takeSnapshot } from './leak-check.ts';
import { OUTSIDE_ADDRESS, OUTSIDE_BODY, makeOutside } from './outside.ts';
import { asUser, testUser } from './unprivileged.ts';

const root = { skip: process.getuid?.() === 0 ? false : 'needs root' };
const scope: LeakScope = { runId: 'outside', directories: [], mayStay: () => true };
const FETCH = `fetch('http://${OUTSIDE_ADDRESS}/').then((r) => r.text()).then((text) => process.stdout.write(text))`;

test('a user inside reaches the fake host, and the namespaces are gone afterwards', root, async () => {
  const before = takeSnapshot(scope);
  const outside = await makeOutside();
  try {
    const [program = '', ...args] = [...outside.commandPrefix, ...asUser(testUser('/tmp'), [process.execPath, '-e', FETCH])];
    assert.equal(spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 }).stdout, OUTSIDE_BODY);
  } finally {
    await outside.close();
    await outside.close();
  }
  const ours = leaksBetween(before, takeSnapshot(scope)).filter((line) => /bgr-(in|out)-/.test(line));
  assert.deepEqual(ours, []);
});
