import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { asUser, testUser } from './unprivileged.ts';

const root = { skip: process.getuid?.() === 0 ? false : 'needs root' };

function runAsUser(script: string): { status: number | null; stdout: string } {
  const [program = '', ...args] = asUser(testUser('/tmp'), ['sh', '-c', script]);
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  assert.equal(stderr, '');
  return { status, stdout: stdout.trim() };
}

test('the command runs without root, with a name and a home, and its status comes back', root, () => {
  const { status, stdout } = runAsUser('id -u; id -un; id -G; echo $HOME; touch /etc/x 2>/dev/null || exit 7');
  assert.deepEqual({ status, lines: stdout.split('\n') }, { status: 7, lines: ['61213', 'bgr-test', '61213', '/tmp'] });
});

test('it may open /dev/net/tun and make its own user namespace, as on a desktop', root, () => {
  assert.equal(runAsUser('exec 3<>/dev/net/tun && unshare --user --map-root-user --net id -u').stdout, '0');
});

test('the machine itself is unchanged', root, () => {
  const modeBefore = statSync('/dev/net/tun').mode;
  runAsUser('true');
  assert.equal(statSync('/dev/net/tun').mode, modeBefore);
  assert.doesNotMatch(readFileSync('/etc/passwd', 'utf8'), /bgr-test/);
  assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), / \/dev\/net\/tun | \/etc\/passwd /);
});
