import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseServer } from '../cli/commands/dns/setup.ts';
import { learnHostKey } from './known-hosts.ts';
import { sshArgv, sshConfigText } from './ssh-argv.ts';
import { sshIncludePath } from './ssh-values.ts';

const LOGIN = { user: 'root', privateKeyPath: '/s/id_ed25519' };
const ACCESS = { ...LOGIN, hostKeyAlias: 'banger-aa', hostPublicKey: 'ssh-ed25519 AAAA', knownHostsPath: '/s/known' };
const PROXY = ['/opt/bin/banger', 'internal', 'ssh-proxy'];
const refused = { code: 'UNSUPPORTED', remedy: /./ };

const USERS = ['root\nProxyCommand touch /tmp/owned', 'root\r', '-oProxyCommand=id', 'a b', '%u', '${HOME}', 'root#', '"root"', ''];
const PATHS = ['/s/id\n  ProxyCommand id', '/s/id\r', '/s/"id', "/s/i'd", '/s/i\\d', '/s/${HOME}', '/s/\u0000id', '/s/\u007fid'];

test("a daemon's value only enters an ssh configuration or command line if it is a single value there (6.4)", () => {
  for (const user of USERS) {
    assert.throws(() => sshConfigText({ ...LOGIN, user }, PROXY, '/s/known'), refused, JSON.stringify(user));
    assert.throws(() => sshArgv({ ...ACCESS, user }, PROXY, [], { options: [] }), refused, JSON.stringify(user));
  }
  for (const privateKeyPath of [...PATHS, 'relative', '']) {
    assert.throws(() => sshConfigText({ ...LOGIN, privateKeyPath }, PROXY, '/s/known'), refused, JSON.stringify(privateKeyPath));
    assert.throws(() => sshArgv({ ...ACCESS, privateKeyPath }, PROXY, [], { options: [] }), refused, JSON.stringify(privateKeyPath));
    assert.throws(() => sshArgv({ ...ACCESS, knownHostsPath: privateKeyPath }, PROXY, [], { options: [] }), refused);
  }
  for (const hostKeyAlias of ['-oProxyCommand=id', 'a b', 'a\nb', '%h', '']) {
    assert.throws(() => sshArgv({ ...ACCESS, hostKeyAlias }, PROXY, [], { options: [] }), refused, hostKeyAlias);
  }
});

test('paths of the user that ssh_config cannot hold are refused: of the state, of programs and of variables (6.4)', () => {
  for (const path of PATHS) {
    assert.throws(() => sshConfigText(LOGIN, PROXY, path), refused, JSON.stringify(path));
    assert.throws(() => sshConfigText(LOGIN, ['env', `BANGER_CONFIG=${path}`, ...PROXY], '/s/known'), refused, JSON.stringify(path));
  }
  for (const path of [...PATHS, '/s/*', '/s/?', '/s/[a]', '/s/%h', '/s/~']) {
    assert.throws(() => sshIncludePath(path), refused, JSON.stringify(path));
  }
  assert.match(
    sshConfigText(LOGIN, ['/my node', ...PROXY], '/state dir/50%/known'),
    /^ {2}UserKnownHostsFile "\/state dir\/50%%\/known\/%h"$/m,
  );
  assert.equal(sshIncludePath('/state dir/ssh_config'), '/state dir/ssh_config');
});

test('a file of known hosts gets one key and nothing beside it (6.4)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'web.vm');
  for (const key of [
    'ssh-ed25519 AAAA\n* ssh-ed25519 BBBB',
    'ssh-ed25519 AAAA comment',
    'AAAA',
    '',
    'ssh-ed25519 AAAA\r',
    '@cert-authority * x',
  ]) {
    await assert.rejects(learnHostKey(path, key, ['web']), refused, JSON.stringify(key));
  }
  await learnHostKey(path, 'ssh-ed25519 AAAA', ['web']);
  assert.equal(readFileSync(path, 'utf8'), 'web.vm,[web.vm]:* ssh-ed25519 AAAA\n');
});

test('a file of a resolver gets an address and a port, and nothing that only looks like them (6.2)', () => {
  for (const text of [
    '....:53',
    '999.1.1.1:53',
    '1.2.3:53',
    ':::::53',
    '127.0.0.1:53\nDNS=6.6.6.6',
    '127.0.0.1:0',
    '127.0.0.1#x:53',
    'a:53',
  ]) {
    assert.throws(() => parseServer(text), { code: 'INVALID_INPUT' }, text);
  }
  assert.deepEqual(parseServer('127.0.0.1:42069'), { address: '127.0.0.1', port: 42_069 });
  assert.deepEqual(parseServer('[::1]:53'), { address: '::1', port: 53 });
  assert.deepEqual(parseServer('::1:53'), { address: '::1', port: 53 });
});
