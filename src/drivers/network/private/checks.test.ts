import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProbeOutcome, judgePasta, judgeProbe } from './checks.ts';
import { pastaArgv } from './pasta.ts';

const outcome = (status: number | null, startError?: string): ProbeOutcome => ({ status, startError, message: 'what it said' });
const plain = { appArmorRestricts: false, maxUserNamespaces: '15000' };

test('each failure of the probe has the remedy that mends it (9.2)', () => {
  assert.equal(judgeProbe(outcome(0), plain).level, 'pass');
  assert.match(judgeProbe(outcome(102), plain).remedy ?? '', /chmod 0666 \/dev\/net\/tun/);
  assert.match(judgeProbe(outcome(127), plain).remedy ?? '', /nftables/);
  assert.match(judgeProbe(outcome(1), plain).remedy ?? '', /modprobe/);
  assert.match(judgeProbe(outcome(null, 'ENOENT'), plain).reason, /ENOENT/);
});

test('a namespace that is refused is explained by the setting that refuses it (9.2)', () => {
  assert.match(judgeProbe(outcome(101), { ...plain, appArmorRestricts: true }).remedy ?? '', /apparmor_restrict_unprivileged_userns/);
  assert.match(judgeProbe(outcome(100), { ...plain, maxUserNamespaces: '0' }).remedy ?? '', /max_user_namespaces/);
  assert.match(judgeProbe(outcome(100), plain).remedy ?? '', /unprivileged_userns_clone/);
});

test('a missing pasta names its package (9.2)', () => {
  assert.match(judgePasta(outcome(null, 'ENOENT')).remedy ?? '', /passt/);
});

test('pasta maps nothing of the host’s loopback, and stays root only for root (6.1)', () => {
  const argv = pastaArgv('/run/x/pasta.pid', false);
  assert.equal(argv.includes('--no-map-gw'), true);
  for (const flag of ['--tcp-ports', '--udp-ports', '--tcp-ns', '--udp-ns']) assert.equal(argv[argv.indexOf(flag) + 1], 'none', flag);
  assert.equal(argv.includes('--runas'), false);
  assert.deepEqual(pastaArgv('/run/x/pasta.pid', true).slice(-2), ['--runas', '0']);
});
