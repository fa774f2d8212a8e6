import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProbeOutcome, judgeProbe } from './checks.ts';

const outcome = (status: number | null, startError?: string): ProbeOutcome => ({ status, startError, message: 'what it said' });
const plain = { appArmorRestricts: false, maxUserNamespaces: '15000' };

test('each failure of the probe has the remedy that mends it (9.2)', () => {
  assert.equal(judgeProbe(outcome(0), plain).level, 'pass');
  assert.match(judgeProbe(outcome(102), plain).remedy ?? '', /chmod 0666 \/dev\/net\/tun/);
  assert.match(judgeProbe(outcome(127), plain).remedy ?? '', /nftables/);
  assert.match(judgeProbe(outcome(null), plain).reason, /took longer than/);
  assert.match(judgeProbe(outcome(1), plain).remedy ?? '', /modprobe/);
  assert.match(judgeProbe(outcome(null, 'ENOENT'), plain).reason, /ENOENT/);
});

test('a namespace that is refused is explained by the setting that refuses it (9.2)', () => {
  assert.match(judgeProbe(outcome(101), { ...plain, appArmorRestricts: true }).remedy ?? '', /apparmor_restrict_unprivileged_userns/);
  assert.match(judgeProbe(outcome(100), { ...plain, maxUserNamespaces: '0' }).remedy ?? '', /max_user_namespaces/);
  assert.match(judgeProbe(outcome(100), plain).remedy ?? '', /unprivileged_userns_clone/);
});
