import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { sshArgv } from './ssh-argv.ts';
import { shellWord } from '../lib/shell-word.ts';

const ACCESS = {
  user: 'root',
  privateKeyPath: '/state dir/100%/id',
  hostKeyAlias: 'banger-aa',
  hostPublicKey: 'ssh-ed25519 AAAA',
  knownHostsPath: '/state dir/known',
};
const PROXY = ['/opt/my place/bin/banger', 'internal', 'ssh-proxy', 'web'];

test('words for the shell come back as they were (6.4)', () => {
  for (const word of ['plain', "it's", 'a b', '$(id)', '', '"', '\\', '`x`', 'ü\n']) {
    assert.equal(execFileSync('/bin/sh', ['-c', `printf %s ${shellWord(word)}`]).toString(), word);
  }
});

test('ssh itself understands the options: own key, own known hosts, no configuration of the user (6.4)', () => {
  const argv = sshArgv(ACCESS, PROXY, [], { options: [] });
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
  assert.equal(sshArgv(ACCESS, PROXY, ['cd / && ls'], { options: [] }).at(-1), 'cd / && ls');
  assert.equal(sshArgv(ACCESS, PROXY, ['echo', 'a b'], { options: ['-t'] }).at(-1), "echo 'a b'");
  assert.ok(sshArgv(ACCESS, PROXY, ['x'], { options: ['-t'] }).includes('-t'));
  assert.equal(sshArgv(ACCESS, PROXY, [], { options: [] }).at(-1), 'banger-aa');
});

test("a user and switches of ssh's own go before banger's, and -A hands on the user's agent without its keys (6.4)", () => {
  const shown = (options: string[], user?: string): Set<string> => {
    const argv = sshArgv(ACCESS, PROXY, [], { options, user });
    return new Set(spawnSync('ssh', ['-G', ...argv.slice(1)], { encoding: 'utf8' }).stdout.split('\n'));
  };
  assert.ok(shown([], 'dev').has('user dev'));
  assert.ok(shown(['-l', 'other'], 'dev').has('user other'));
  assert.ok(shown(['-o', 'User=other']).has('user other'));
  assert.ok(shown(['-o', 'ServerAliveInterval=3']).has('serveraliveinterval 3'));
  assert.ok(shown(['-L', '8080:localhost:80']).has('localforward 8080 [localhost]:80'));
  for (const options of [['-A'], ['-vA'], ['-o', 'ForwardAgent=yes']]) {
    for (const line of ['forwardagent yes', 'identityagent SSH_AUTH_SOCK', 'identitiesonly yes']) assert.ok(shown(options).has(line), line);
  }
  for (const options of [[], ['-o', 'ForwardAgent=no'], ['-v']]) assert.ok(shown(options).has('identityagent none'), options.join(' '));
});
