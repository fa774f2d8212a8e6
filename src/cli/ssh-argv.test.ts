import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { shellWord, sshArgv } from './ssh-argv.ts';

const ACCESS = {
  user: 'root',
  privateKeyPath: '/state dir/100%/id',
  hostKeyAlias: 'banger-aa',
  hostPublicKey: 'ssh-ed25519 AAAA',
  knownHostsPath: '/state dir/known',
};
const PROXY = ['/opt/my node', '/opt/banger.cjs', 'internal', 'ssh-proxy', 'web'];

test('words for the shell come back as they were (6.4)', () => {
  for (const word of ['plain', "it's", 'a b', '$(id)', '', '"', '\\', '`x`', 'ü\n']) {
    assert.equal(execFileSync('/bin/sh', ['-c', `printf %s ${shellWord(word)}`]).toString(), word);
  }
});

test('ssh itself understands the options: own key, own known hosts, no configuration of the user (6.4)', () => {
  const argv = sshArgv(ACCESS, PROXY, [], { tty: false });
  assert.deepEqual(argv.slice(0, 3), ['ssh', '-F', 'none']);
  const { stdout, stderr, status } = spawnSync('ssh', ['-G', ...argv.slice(1)], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const lines = new Set(stdout.split('\n'));
  for (const line of [
    'user root',
    'hostkeyalias banger-aa',
    'stricthostkeychecking true',
    'identitiesonly yes',
    'userknownhostsfile /state dir/known',
  ]) {
    assert.ok(lines.has(line), `${line} is missing in\n${stdout}`);
  }
  assert.ok([...lines].some((line) => line.startsWith('identityfile ') && line.includes('/state dir/100')));
});

test('a single word is a line for the shell in the guest, several are words (6.4)', () => {
  assert.equal(sshArgv(ACCESS, PROXY, ['cd / && ls'], { tty: false }).at(-1), 'cd / && ls');
  assert.equal(sshArgv(ACCESS, PROXY, ['echo', 'a b'], { tty: true }).at(-1), "echo 'a b'");
  assert.ok(sshArgv(ACCESS, PROXY, ['x'], { tty: true }).includes('-t'));
  assert.equal(sshArgv(ACCESS, PROXY, [], { tty: false }).at(-1), 'banger-aa');
});
