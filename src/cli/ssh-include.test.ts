import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { learnHostKey } from '../client/known-hosts.ts';
import { sshConfigText } from '../client/ssh-argv.ts';
import { changeSshConfig, withInclude, withoutInclude } from './ssh-include.ts';

const INCLUDE = '/state dir/ssh/ssh_config';

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-ssh-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('the line is added at the top once, and removed byte for byte, whatever the file contains (6.4)', () => {
  for (const text of [undefined, '', 'Host a\n  User b', '\n\n', 'Host *\n\tUser x\r\n', 'Include "/state dir/ssh/ssh_config"\n']) {
    const once = withInclude(text, INCLUDE);
    assert.match(once, /^Include "\/state dir\/ssh\/ssh_config" # banger/);
    assert.equal(withInclude(once, INCLUDE), once);
    assert.equal(withoutInclude(once, INCLUDE), text);
    if (text !== undefined) assert.equal(withoutInclude(text, INCLUDE), text);
  }
  assert.equal(withoutInclude(`# mine\n${withInclude('Host a\n', INCLUDE)}`, INCLUDE), '# mine\nHost a\n', 'also when the user moved it');
  const grown = `${withInclude(undefined, INCLUDE)}Host later\n`;
  assert.equal(withoutInclude(grown, INCLUDE), 'Host later\n', 'what came later stays');
});

test('a change keeps mode, links and bytes that are no text, and leaves no other file (6.4)', async (t) => {
  const directory = temporary(t);
  const real = join(directory, 'dotfiles');
  mkdirSync(real);
  const bytes = Buffer.from([0x23, 0xff, 0xfe, 0x0a]);
  writeFileSync(join(real, 'config'), bytes);
  chmodSync(join(real, 'config'), 0o640);
  const link = join(directory, 'config');
  symlinkSync(join(real, 'config'), link);
  assert.equal(await changeSshConfig(link, (text) => withInclude(text, INCLUDE)), true);
  assert.equal(await changeSshConfig(link, (text) => withInclude(text, INCLUDE)), false);
  assert.equal(statSync(link).mode & 0o777, 0o640);
  await changeSshConfig(link, (text) => withoutInclude(text ?? '', INCLUDE));
  assert.deepEqual(readFileSync(join(real, 'config')), bytes);
  assert.deepEqual([readdirSync(directory).toSorted(), readdirSync(real)], [['config', 'dotfiles'], ['config']]);

  const none = join(directory, 'home/.ssh/config');
  await changeSshConfig(none, (text) => withInclude(text, INCLUDE));
  assert.deepEqual([statSync(none).mode & 0o777, statSync(join(directory, 'home/.ssh')).mode & 0o777], [0o600, 0o700]);
  await changeSshConfig(none, (text) => withoutInclude(text ?? '', INCLUDE));
  assert.deepEqual(readdirSync(join(directory, 'home/.ssh')), []);
});

test('ssh understands the file: one pattern for all names, its own key, the key of the host pinned (6.4)', (t) => {
  const directory = temporary(t);
  const include = join(directory, 'ssh_config');
  const login = { user: 'root', privateKeyPath: '/state dir/100%/id_ed25519' };
  writeFileSync(include, sshConfigText(login, ['env', 'BANGER_STATE_DIR=/state dir', '/my node', '/b.cjs'], '/state dir/50%/known'));
  const config = join(directory, 'config');
  writeFileSync(config, withInclude('Host *\n  User somebody\n  StrictHostKeyChecking no\n', include));
  const settings = (host: string): Map<string, string> => {
    const { stdout, stderr, status } = spawnSync('ssh', ['-G', '-F', config, host], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return new Map(stdout.split('\n').map((line): [string, string] => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
  };
  const web = settings('web.vm');
  assert.deepEqual([web.get('user'), web.get('stricthostkeychecking'), web.get('updatehostkeys')], ['root', 'true', 'false']);
  assert.match(web.get('identityfile') ?? '', /^\/state dir\/100%/);
  assert.match(web.get('userknownhostsfile') ?? '', /^\/state dir\/50%/);
  assert.match(
    web.get('proxycommand') ?? '',
    /^env 'BANGER_STATE_DIR=\/state dir' '\/my node' \/b\.cjs --known-hosts '\/state dir\/50%%\/known\/%h' '%h'$/,
  );
  const other = settings('example.org');
  assert.deepEqual([other.get('user'), other.get('proxycommand')], ['somebody', undefined]);
});

test('the key of a host is written for all ports, files of VMs that are gone are removed, and a name cannot lead elsewhere (6.4)', async (t) => {
  const directory = join(temporary(t), 'known_hosts.d');
  await learnHostKey(join(directory, 'old.vm'), 'ssh-ed25519 AAAA', ['old']);
  await learnHostKey(join(directory, 'web.vm'), 'ssh-ed25519 BBBB', ['web', 'db']);
  assert.deepEqual(readdirSync(directory), ['web.vm']);
  assert.equal(readFileSync(join(directory, 'web.vm'), 'utf8'), 'web.vm,[web.vm]:* ssh-ed25519 BBBB\n');
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const name of ['..', 'a b', "x'y"]) await assert.rejects(learnHostKey(`${directory}/${name}`, 'k', []), { code: 'USAGE' }, name);
});
