// The Debian package as its users have it: installed by apt on an ordinary Debian, used by somebody who is not root, removed by dpkg.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createApi } from '../../src/client/api.ts';
import { createSend } from '../../src/client/send.ts';
import { CommandFailure, run } from '../../src/host/spawn.ts';
import { eventually, isAlive } from '../support/machine/e2e.ts';
import { REPOSITORY, runTool } from '../support/user/installed.ts';

/** Packing 150 MB, and all that the package's Node does, on a machine that is emulated. */
const LONG = { timeoutMs: 300_000 };
const VERSION = (JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as { version: string }).version;
const STATE = '/home/dev/.local/state/banger';
const RUNTIME = '/run/user/1000/banger';

/** In a mount namespace of the command: nothing in the place of the checkout. */
const HIDE = 'mount -t tmpfs -o size=1m,mode=0755 none "$1"; shift; exec "$@"';
const AS_DEV = [
  ...['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-ec', HIDE, 'sh', REPOSITORY],
  ...['setpriv', '--reuid', 'dev', '--regid', 'dev', '--init-groups', '--inh-caps=-all'],
  ...['env', '-i', '--chdir=/', 'HOME=/home/dev', 'USER=dev', 'LOGNAME=dev', 'LANG=C.UTF-8', 'PATH=/usr/local/bin:/usr/bin:/bin'],
  ...['XDG_RUNTIME_DIR=/run/user/1000', `BANGER_BUNDLE=${process.env['BANGER_BUNDLE'] ?? ''}`],
];

/** Runs the installed program as the machine's user. @returns stdout */
const banger = async (...words: string[]): Promise<string> => (await run([...AS_DEV, 'banger', ...words], LONG)).stdout;

/** What `doctor` says, whether it finds something or not. */
const doctor = (): Promise<string> =>
  banger('doctor', '-o', 'json').catch((error: unknown) => {
    if (error instanceof CommandFailure && error.outcome.exitCode === 3) return error.outcome.stdout;
    throw error;
  });

const scratch = mkdtempSync(join(tmpdir(), 'bgr-deb-'));
let daemonPid = 0;
let files: string[] = [];

after(async () => {
  if (daemonPid > 1 && (await isAlive(daemonPid))) {
    process.kill(daemonPid);
    await eventually(
      'the end of the daemon',
      () => isAlive(daemonPid),
      (alive) => !alive,
    );
  }
  for (const path of [scratch, STATE, RUNTIME]) rmSync(path, { recursive: true, force: true });
});

test('apt installs the package with what it needs, every file as its checksum says, and units that systemd takes (2.6)', async () => {
  const archive = runTool(['sh', 'tools/deb.sh', scratch]);
  await run(['apt-get', 'install', '--yes', '--no-install-recommends', archive], LONG);
  assert.match((await run(['dpkg', '--status', 'banger'])).stdout, /^Status: install ok installed$/m);
  assert.equal((await run(['dpkg', '--verify', 'banger'], LONG)).stdout, '');
  const units = ['bangerd.socket', 'bangerd.service'].map((name) => `/usr/lib/systemd/user/${name}`);
  await run([...AS_DEV, 'systemd-analyze', '--user', '--man=no', '--recursive-errors=no', 'verify', ...units], LONG);
  const { stdout } = await run(['dpkg', '--listfiles', 'banger']);
  files = stdout.split('\n').filter((path) => path.startsWith('/') && !lstatSync(path).isDirectory());
  for (const path of ['/usr/bin/banger', '/usr/lib/systemd/user/bangerd.socket']) assert.ok(files.includes(path), path);
  assert.deepEqual(
    files.filter((path) => lstatSync(path).uid !== 0),
    [],
    'all of it is of root',
  );
});

test('an ordinary user starts the daemon, and it knows this host and its bundle, with the checkout gone (2.6, 1.2, 9.3)', async () => {
  assert.equal(await banger('--version'), `${VERSION}\n`);
  await banger('daemon', 'start');
  assert.equal(await banger('vm', 'list', '--quiet'), '');
  const status = JSON.parse(await banger('daemon', 'status', '-o', 'json')) as { pid: number; bundleDirectory: string | null };
  daemonPid = status.pid;
  assert.equal(status.bundleDirectory, process.env['BANGER_BUNDLE']);
  assert.match(readlinkSync(`/proc/${daemonPid}/exe`), /\/usr\/lib\/banger\/lib\/node-linux-x64\/bin\/node$/);
  const report = await doctor();
  const { drivers } = JSON.parse(report) as { drivers: { name: string; usable: boolean }[] };
  assert.ok(
    drivers.some(({ name, usable }) => name === 'qemu' && usable),
    report,
  );
  assert.doesNotMatch(report, new RegExp(`${REPOSITORY}/`));
});

test('dpkg removes the files and nothing of the user: the daemon goes on, and its state stays (2.6, 1.2)', async () => {
  await run(['dpkg', '--remove', 'banger'], LONG);
  assert.deepEqual(
    files.filter((path) => existsSync(path)),
    [],
  );
  assert.equal(existsSync('/usr/lib/banger'), false);
  await assert.rejects(run(['dpkg', '--status', 'banger']), 'no settings were left for a purge');
  assert.ok(await isAlive(daemonPid));
  // Root here looks at a user's daemon, which the package's own programs would not speak with.
  const send = createSend(() => connect(join(RUNTIME, 'bangerd.sock')));
  assert.deepEqual(await createApi(send).listVms(), []);
  assert.ok(existsSync(join(STATE, 'banger.db')));
});
