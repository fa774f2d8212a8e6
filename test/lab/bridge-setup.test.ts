// `banger setup` on an ordinary Debian with systemd, and the bridge it makes possible for an ordinary user.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { endProcess } from '../../src/host/processes.ts';
import { CommandFailure, commandEnvironment, type DetachedProcess, run, spawnDetached } from '../../src/host/spawn.ts';
import { contractReporters } from '../support/vmm/contract-results.ts';
import { outsideCommands } from '../support/outside/outside.ts';

/** On a host that is busy as well as emulated. */
const LIMIT_MS = 1_200_000;

const root = join(import.meta.dirname, '../..');
const banger = (...words: string[]) => run([join(root, 'bin/banger'), 'setup', ...words], { timeoutMs: 120_000 });
const LEFT = ['/usr/local/lib/banger-helper', '/etc/banger', '/etc/systemd/system/banger-helper.socket', '/run/banger', '/dev/banger'];
/** Links, rules and what forwards. */
const picture = async (): Promise<string> => {
  const commands = [
    ['ip', '-br', 'link'],
    ['nft', 'list', 'ruleset'],
    ['sh', '-c', 'grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding'],
  ];
  return (await Promise.all(commands.map(async (argv) => (await run(argv)).stdout))).join('\n');
};

let untouched = '';
before(async () => {
  untouched = await picture();
});
after(async () => {
  await banger('--uninstall');
  assert.deepEqual(LEFT.filter(existsSync), []);
  assert.equal(await picture(), untouched);
});

const asUser = (...argv: string[]) => run(['runuser', '-u', 'dev', '--', ...argv], { timeoutMs: 400_000 });

test('setup installs the helper, and systemd starts it for the one who asks first (6.2)', async () => {
  const { stdout: dry } = await banger('--dry-run', '--user', 'dev');
  assert.match(dry, /^would be done .*banger-helper\.socket enabled and listening$/m);
  assert.deepEqual(LEFT.filter(existsSync), []);
  await banger('--user', 'dev');
  const { mode, uid } = statSync('/usr/local/lib/banger-helper');
  assert.deepEqual([mode & 0o7777, uid], [0o755, 0]);
  assert.equal((await run(['systemctl', 'is-active', 'banger-helper.socket'])).stdout, 'active\n');
  await assert.rejects(run(['systemctl', 'is-active', 'banger-helper.service']));
  const node = `const { converseWithRoot } = await import('${root}/src/lib/line-protocol.ts');
    console.log(JSON.stringify(await converseWithRoot('/run/banger/helper.sock', ['hello', 'list'], 20000)));`;
  const { stdout } = await asUser(process.execPath, '--input-type=module', '-e', node);
  assert.match(stdout, /hello version=1 uid=1000 directory=\/run\/banger\/users\/1000/);
  assert.match(stdout, /network down uplink=eth0 resolver=10\.0\.2\.3 dropped-by=-/);
  const { stdout: again } = await banger('--user', 'dev');
  assert.doesNotMatch(again, /^(done {5}|would)/m);
});

test('who was not let in is refused (9.4)', async () => {
  const node = `const { converseWithRoot } = await import('${root}/src/lib/line-protocol.ts');
    console.log(await converseWithRoot('/run/banger/helper.sock', ['hello'], 20000).catch((error) => [error]));`;
  const asked = await run(['runuser', '-u', 'nobody', '--', process.execPath, '--input-type=module', '-e', node], { timeoutMs: 60_000 });
  assert.match(asked.stdout, /ECONNREFUSED.*may not use/s);
  assert.doesNotMatch(asked.stdout, /hello version/);
});

/** A way out that ends in a namespace with somebody who answers; the machine's own leads nowhere. */
async function withOutside<T>(work: () => Promise<T>): Promise<T> {
  const routes = (await run(['ip', 'route', 'show', 'default'])).stdout.trim().split('\n').filter(Boolean);
  const commands = outsideCommands('unused', 'test-out').filter((args) => args.join(' ') !== 'netns add unused');
  const responder = async (): Promise<DetachedProcess> =>
    spawnDetached(['ip', 'netns', 'exec', 'test-out', 'socat', 'TCP-LISTEN:80,fork,reuseaddr', 'SYSTEM:echo hello $SOCAT_PEERADDR'], {
      outputPath: '/dev/null',
    });
  for (const route of routes) await run(['ip', 'route', 'del', ...route.trim().split(/\s+/)]);
  try {
    for (const args of commands) await run(['ip', ...(args[0] === '-n' && args[1] === 'unused' ? args.slice(2) : args)]);
    const { identity } = await responder();
    try {
      return await work();
    } finally {
      await endProcess(identity, 1000);
    }
  } finally {
    await run(['ip', 'netns', 'del', 'test-out']);
    await run(['sh', '-c', 'while ip link show uplink >/dev/null 2>&1; do ip link del uplink || true; sleep 0.1; done']);
    for (const route of routes) await run(['ip', 'route', 'add', ...route.trim().split(/\s+/)]);
  }
}

test('an ordinary user has the whole contract, and a real VM on the bridge (6.2, 4.1)', { timeout: LIMIT_MS }, async () => {
  const inside = join(root, 'test/lab/bridge-inside.ts');
  const env = { ...commandEnvironment(), HOME: '/home/dev', BANGER_LAB: '1', BANGER_BUNDLE: process.env['BANGER_BUNDLE'] ?? '' };
  const argv = [
    'runuser',
    '-u',
    'dev',
    '--preserve-environment',
    '--',
    process.execPath,
    '--test',
    ...contractReporters('bridge', 'tap'),
    inside,
  ];
  try {
    const { stdout } = await withOutside(() => run(argv, { timeoutMs: LIMIT_MS, env }));
    console.log(stdout);
    assert.match(stdout, /^# fail 0$/m);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    assert.fail(`${error.message}\n${error.outcome.stdout}\n${error.outcome.stderr}`);
  }
});
