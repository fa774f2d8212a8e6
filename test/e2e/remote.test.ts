// Another machine's daemon through a real sshd: the sandbox is that machine, and commands come from directories elsewhere.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { DaemonStatus } from '../../src/api/schemas.ts';
import { useSandbox } from '../support/machine/e2e.ts';
import { type Finished, PROGRAM, type RunOptions } from '../support/machine/sandbox.ts';
import { type SshServer, startSshd } from '../support/user/sshd.ts';

let server: SshServer | undefined;
// Before the sandbox is closed, which finds whatever still runs.
after(() => server?.close());
const sandbox = useSandbox();

/** Runs the CLI as the same user elsewhere: nothing of the sandbox but ssh leads to its daemon. */
function fromElsewhere(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const here = join(sandbox().directory, 'home', 'elsewhere');
  const env = {
    PATH: `${server?.binDirectory}:/usr/bin:/bin`,
    ...{ BANGER_CONFIG: join(here, 'config.toml'), BANGER_STATE_DIR: join(here, 's'), BANGER_CACHE_DIR: join(here, 'c') },
    BANGER_RUNTIME_DIR: join(here, 'r'),
  };
  return sandbox().banger(args, { ...options, env: { ...env, ...options.env } });
}

async function must(args: readonly string[], options?: RunOptions): Promise<string> {
  const { status, stdout, stderr } = await fromElsewhere(args, options);
  assert.equal(status, 0, `${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

test('a context starts the daemon of the other machine, and errors say what is missing there (2.1, 1.6)', async () => {
  server = await startSshd(sandbox());
  await must(['context', 'add', 'other', `ssh://${server.address}`, '--program', PROGRAM, '--use']);
  assert.equal(await must(['vm', 'list', '-q']), '');
  const daemon = JSON.parse(await must(['daemon', 'status', '-o', 'json'])) as DaemonStatus;
  assert.equal(daemon.socketPath, join(sandbox().directory, 'run/bangerd.sock'));
  assert.ok(!existsSync(join(sandbox().directory, 'home/elsewhere/r')), 'no daemon was started on this side');
  assert.equal(server.log().match(/Accepted publickey/g)?.length, 1, 'the connection is shared, as the user configured it');

  const nobody = await fromElsewhere(['vm', 'list'], {
    env: { BANGER_HOST: `ssh://${server.address}`, BANGER_REMOTE_PROGRAM: '/nowhere/banger' },
  });
  assert.match(nobody.stderr, /^banger: \/nowhere\/banger cannot be run at ssh:\/\/.*\n {2}try: banger context add NAME /);
  const refused = await fromElsewhere(['vm', 'list'], { env: { BANGER_HOST: 'ssh://127.0.0.1:1' } });
  assert.match(
    refused.stderr,
    /^banger: ssh did not get to ssh:\/\/127\.0\.0\.1:1: .*Connection refused\n {2}try: ssh -p 1 -- 127\.0\.0\.1 true/,
  );
  const local = await fromElsewhere(['daemon', 'stop']);
  assert.match(local.stderr, /daemon stop works only on this machine, .*\n {2}try: ssh -p \d+ -l \S+ -- 127\.0\.0\.1 .*banger daemon stop/);
});

test('vm create, exec, cp and ssh work on a VM of the other machine (2.1, 3.13, 6.4)', async () => {
  const created = await fromElsewhere(['vm', 'create', '--name', 'far', '--progress', 'plain']);
  assert.equal(created.status, 0, created.stderr);
  assert.match(created.stderr, /✓ boot /);
  const shouted = await must(['vm', 'exec', '-i', 'far', '--', 'tr', 'a-z', 'A-Z'], { input: 'hello\n'.repeat(200_000) });
  assert.equal(shouted, 'HELLO\n'.repeat(200_000));
  assert.equal((await fromElsewhere(['vm', 'exec', 'far', '--', 'sh', '-c', 'exit 9'])).status, 9);
  const file = join(sandbox().directory, 'home', 'note');
  writeFileSync(file, 'from afar\n', { mode: 0o644 });
  await must(['vm', 'cp', file, 'far:/srv/note']);
  await must(['vm', 'cp', 'far:/srv/note', `${file}.back`]);
  assert.equal(readFileSync(`${file}.back`, 'utf8'), 'from afar\n');
  assert.equal(await must(['vm', 'ssh', 'far', '--', 'cat /srv/note; hostname']), 'from afar\nfar\n');
  await must(['vm', 'delete', '--force', 'far']);
  assert.equal(await sandbox().must(['vm', 'list', '-q']), '');
});
