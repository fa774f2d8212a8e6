// Tests the promises of a jail with the programs of the bench.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, startTicksOf, waitForExit } from '../../../src/host/processes.ts';
import { FIRST_JAIL_UID, type JailBench, OTHER, USER, askAs, canConnect, makeClaims, picture, valuesOf } from './jail-bench.ts';

const ID = '0a0b0c0d';
const CGROUP = `/sys/fs/cgroup/banger/bgr-${ID}`;

type Running = { pid: number; root: string; files: string; uid: number };

async function startJail(bench: JailBench, id = ID, network = 'host'): Promise<Running> {
  const files = makeClaims(bench, USER, id, true);
  const lines = await askAs(bench, USER, `jail start ${id} 2 128 ${network}`);
  assert.equal(lines.at(-1), 'ok', `${lines.join('\n')}\n${bench.log()}\n${readFileSync(join(files, 'log'), 'utf8')}`);
  const { pid, root = '', uid } = valuesOf(lines[0]);
  return { pid: Number(pid), root, files, uid: Number(uid) };
}

const stopJail = (bench: JailBench, uid = USER, id = ID): Promise<string[]> => askAs(bench, uid, `jail stop ${id}`);
const identityOf = (pid: number): { pid: number; startTicks: number } => ({ pid, startTicks: startTicksOf(pid) ?? 0 });
const statusOf = (pid: number): string => readFileSync(`/proc/${pid}/status`, 'utf8');
const ownerOf = (path: string): string => {
  const s = statSync(path);
  return `${s.uid}:${s.gid} ${(s.mode & 0o7777).toString(8)}`;
};

/** Starts a program that execs sleep(1), and waits for that. @returns its pid */
async function hold([program = '', ...words]: string[]): Promise<number> {
  const { pid = 0 } = spawn(program, words, { stdio: 'ignore' });
  while (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep')) await sleep(10);
  return pid;
}

export function describeJail(bench: JailBench): void {
  describe(`jail with ${bench.isReal ? 'the real programs' : 'a stand-in for jailer and Firecracker'}`, () => {
    before(async () => {
      await bench.start();
      await askAs(bench, USER, 'hello');
      await askAs(bench, OTHER, 'hello');
      // The directory of all jails stays; it is not a trace of one.
      await startJail(bench);
      await stopJail(bench);
    });
    after(() => bench.remove());
    // A failed test must not leave any for the next one.
    afterEach(() => stopJail(bench));
    beforeEach(() => makeClaims(bench, USER, ID, true));
    describeConfinement(bench);
    describeEnds(bench);
    describeRemoval(bench);
    describeRefusals(bench);
  });
}

function describeConfinement(bench: JailBench): void {
  test('the VMM has a root, a user and a cgroup of its own and no capability (4.1)', async () => {
    const { pid, root, files, uid } = await startJail(bench);
    assert.equal(uid, FIRST_JAIL_UID);
    assert.match(statusOf(pid), new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s+${uid}\\s+${uid}$`, 'm'));
    assert.match(statusOf(pid), /^CapEff:\s+0+$/m);
    assert.match(statusOf(pid), /^NoNewPrivs:\s+1$/m);
    assert.equal(readdirSync(`/proc/${pid}/root/`).includes('etc'), false, 'the host is out of its sight');
    const members = readFileSync(join(CGROUP, 'cgroup.procs'), 'utf8').trim().split('\n').map(Number);
    assert.ok(members.includes(pid));
    assert.deepEqual(
      members.filter((member) => member !== pid).map((member) => readFileSync(`/proc/${member}/comm`, 'utf8').trim()),
      ['banger-locks'],
    );
    assert.equal(ownerOf(join(files, 'disk0')), `${USER}:${uid} 660`);
    assert.equal(statSync(join(root, 'disk0')).ino, statSync(join(files, 'disk0')).ino, 'it writes to the very disk');
    assert.notEqual(statSync(join(root, 'kernel')).ino, statSync(join(files, 'kernel')).ino, 'the kernel is a copy');
    assert.equal(ownerOf(join(root, 'disk1')), `0:${uid} 440`);
    // With an access control list, the group's bits are the most that anyone in the list can have.
    for (const path of [root, join(root, 'run')]) assert.match(ownerOf(path), /^0:0 1?770$/, 'its names are out of its reach');
    await stopJail(bench);
    assert.equal(ownerOf(join(files, 'disk0')), `${USER}:${USER} 600`);
  });

  test('its sockets are there for the owner and for no other user (4.1)', async () => {
    const { root } = await startJail(bench);
    const socket = join(root, 'run/api.sock');
    assert.equal(await canConnect(USER, socket), true);
    assert.equal(await canConnect(OTHER, socket), false);
    await stopJail(bench);
  });

  test(
    'limits of memory, processes and CPU stand in its cgroup (4.1)',
    { skip: bench.hasLimits ? false : 'this host has no controllers in cgroup v2; the lab has' },
    async () => {
      await startJail(bench);
      const limit = (name: string): string => readFileSync(join(CGROUP, name), 'utf8').trim();
      assert.equal(limit('memory.max'), String((128 + 2 + 64) * 1024 ** 2));
      assert.equal(limit('pids.max'), '19');
      assert.equal(limit('cpu.weight'), '200');
      await stopJail(bench);
    },
  );

  test("only the user's own network namespace can be joined (4.1)", async () => {
    // Like the forwarder: a user namespace of the user, with a network namespace inside.
    const asUser = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
    const pid = await hold([...asUser, 'unshare', '--user', '--map-root-user', '--net', 'sleep', '60']);
    try {
      const running = await startJail(bench, ID, `netns ${pid}`);
      assert.equal(readlinkSync(`/proc/${running.pid}/ns/net`), readlinkSync(`/proc/${pid}/ns/net`));
      await stopJail(bench);
      assert.match((await askAs(bench, USER, `jail start ${ID} 1 64 netns ${process.pid}`)).join(), /^error EPERM/, "the host's own");
      makeClaims(bench, OTHER, ID);
      assert.match((await askAs(bench, OTHER, `jail start ${ID} 1 64 netns ${pid}`)).join(), /^error EPERM/, "another user's");
    } finally {
      process.kill(pid);
    }
  });
}

function describeEnds(bench: JailBench): void {
  test('stop tells how it ended and leaves nothing; once more is fine (1.2)', async () => {
    const clean = await picture(bench);
    const { pid } = await startJail(bench);
    const identity = identityOf(pid);
    assert.deepEqual(await stopJail(bench), ['exit signal=9', 'ok']);
    assert.equal(isAlive(identity), false);
    assert.equal(await picture(bench), clean);
    assert.deepEqual(await stopJail(bench), ['ok']);
  });

  test('a VMM that was killed is known as ended, and its signal is told (3.5)', async () => {
    const clean = await picture(bench);
    const { pid } = await startJail(bench);
    const identity = identityOf(pid);
    // A signal that Firecracker does not turn into a status.
    process.kill(pid, 'SIGTERM');
    assert.equal(await waitForExit(identity, 10_000), true);
    assert.deepEqual(await stopJail(bench), ['exit signal=15', 'ok']);
    assert.equal(await picture(bench), clean);
  });

  test('the VMM outlives the helper; the next one knows it and ends it (1.2)', async () => {
    const clean = await picture(bench);
    const { pid, root } = await startJail(bench);
    const identity = identityOf(pid);
    await bench.stop('SIGKILL');
    assert.equal(isAlive(identity), true);
    await bench.start();
    const jailsSeenBy = async (uid: number): Promise<string[]> =>
      (await askAs(bench, uid, 'list')).filter((line) => line.startsWith('jail '));
    const line = `jail ${ID} pid=${pid} start=${identity.startTicks} uid=${FIRST_JAIL_UID} root=${root}`;
    assert.deepEqual(await jailsSeenBy(USER), [line]);
    assert.deepEqual(await jailsSeenBy(OTHER), [], 'others do not see it');
    assert.deepEqual(await stopJail(bench), ['ok'], 'who is not its parent does not know how it ended');
    assert.equal(isAlive(identity), false);
    assert.equal(await picture(bench), clean);
  });
}

function describeRemoval(bench: JailBench): void {
  test('what a hostile VMM or owner puts into the jail is removed, and nothing behind it (1.2)', async () => {
    const clean = await picture(bench);
    const { root, files } = await startJail(bench);
    const outside = join(files, 'outside');
    writeFileSync(outside, 'stays');
    symlinkSync('/etc', join(root, 'run/link-to-a-directory'));
    symlinkSync(outside, join(root, 'run/link-to-a-file'));
    linkSync(outside, join(root, 'run/hard-link'));
    let deep = join(root, 'run');
    for (let i = 0; i < 500; i++) mkdirSync((deep = join(deep, 'd')));
    execFileSync('chown', ['-R', '-h', `${FIRST_JAIL_UID}:${FIRST_JAIL_UID}`, join(root, 'run/d')]);
    assert.deepEqual(await stopJail(bench), ['exit signal=9', 'ok']);
    assert.equal(readFileSync(outside, 'utf8'), 'stays');
    assert.equal(existsSync('/etc/passwd'), true);
    makeClaims(bench, USER, ID, true);
    assert.equal(await picture(bench), clean);
  });

  test('twenty starts and stops leave the host as it was, and use the same user (1.2)', async () => {
    const clean = await picture(bench);
    for (let i = 0; i < 20; i++) {
      assert.equal((await startJail(bench)).uid, FIRST_JAIL_UID);
      assert.equal((await stopJail(bench)).at(-1), 'ok');
    }
    assert.equal(await picture(bench), clean);
  });

  test('a disk of another file system is mounted into the jail, and given back (1.2)', async (t) => {
    const files = makeClaims(bench, USER, ID);
    const elsewhere = mkdtempSync('/dev/shm/bgr-');
    t.after(() => rmSync(elsewhere, { recursive: true }));
    execFileSync('chmod', ['755', elsewhere]);
    const disk = join(elsewhere, 'disk');
    execFileSync('cp', ['-p', join(files, 'disk0'), disk]);
    const claim = join(bench.directory, 'run/users', String(USER), ID, 'disk0');
    rmSync(claim);
    symlinkSync(disk, claim);
    const clean = await picture(bench);
    const [line] = await askAs(bench, USER, `jail start ${ID} 1 64 host`);
    const { root = '', uid } = valuesOf(line);
    assert.equal(statSync(join(root, 'disk0')).ino, statSync(disk).ino);
    assert.equal(ownerOf(disk), `${USER}:${uid} 660`);
    assert.equal((await stopJail(bench)).at(-1), 'ok');
    assert.equal(ownerOf(disk), `${USER}:${USER} 600`);
    assert.equal(await picture(bench), clean);
  });

  test('two at once have different users, and a jail left by a boot that ended is cleared away (1.2)', async () => {
    const clean = await picture(bench);
    const first = await startJail(bench);
    const second = await startJail(bench, '11111111');
    assert.notEqual(first.uid, second.uid);
    await stopJail(bench, USER, '11111111');
    await stopJail(bench);
    mkdirSync(join(bench.directory, `jails/firecracker/bgr-${ID}/root/run/old`), { recursive: true });
    await startJail(bench);
    await stopJail(bench);
    execFileSync('rm', ['-r', join(bench.directory, `files-${USER}-11111111`)]);
    assert.equal(await picture(bench), clean);
  });
}

function describeRefusals(bench: JailBench): void {
  test('another user can neither stop it nor start one of the same id (4.1)', async () => {
    const { pid } = await startJail(bench);
    assert.match((await stopJail(bench, OTHER)).join(), /^error EPERM/);
    makeClaims(bench, OTHER, ID);
    assert.match((await askAs(bench, OTHER, `jail start ${ID} 1 64 host`)).join(), /^error EPERM/);
    assert.match((await askAs(bench, USER, `jail start ${ID} 1 64 host`)).join(), /^error EEXIST/);
    assert.equal(isAlive(identityOf(pid)), true);
    await stopJail(bench);
  });

  test('a disk of another user, a disk in use and programs that others can change are refused; nothing is left (4.1)', async () => {
    const files = makeClaims(bench, USER, ID, true);
    const clean = await picture(bench);
    const refusal = async (): Promise<string> => (await askAs(bench, USER, `jail start ${ID} 1 64 host`)).join();
    execFileSync('chown', [String(OTHER), join(files, 'disk0')]);
    execFileSync('chmod', ['666', join(files, 'disk0')]);
    assert.match(await refusal(), /^error EPERM/);
    makeClaims(bench, USER, ID, true);
    const holder = await hold(['flock', '--no-fork', join(files, 'disk0'), 'sleep', '60']);
    assert.match(await refusal(), /^error EBUSY disk0/);
    process.kill(holder);
    execFileSync('chmod', ['o+w', join(bench.directory, 'jailer')]);
    assert.match(await refusal(), /^error EPERM/);
    execFileSync('chmod', ['o-w', join(bench.directory, 'jailer')]);
    assert.equal(await picture(bench), clean);
  });

  test('while it runs, also without a helper, each disk that it writes to is locked against other VMMs (4.4)', async () => {
    const { files } = await startJail(bench);
    const [first, second] = [join(files, 'disk0'), join(files, 'disk2')];
    const isLocked = (disk: string): boolean => spawnSync('flock', ['-n', disk, 'true']).status !== 0;
    assert.deepEqual([first, second].map(isLocked), [true, true]);
    await bench.stop('SIGKILL');
    assert.deepEqual([first, second].map(isLocked), [true, true]);
    await bench.start();
    await stopJail(bench);
    assert.deepEqual([first, second].map(isLocked), [false, false]);
  });
}
