// The most dangerous moments for a real VM to lose its daemon, its VMM or its disk space; test/faults/ has all the others.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createVm, daemonStatus, eventually, guest, killProcesses, startBanger, useSandbox } from '../support/machine/e2e.ts';
import { hasOurTime } from '../support/guest/guest-clock.ts';
import { processesOf } from '../support/machine/leak-check.ts';
import { vmmsOf } from '../support/vmm/vmms.ts';

describe('a VM with a mark on both disks', () => {
  const sandbox = useSandbox();
  const vm = () => guest(sandbox(), 'web');
  const daemons = (): number[] =>
    processesOf(sandbox().scope)
      .filter(({ command }) => /bangerd\.cjs/.test(command))
      .map(({ pid }) => pid);
  const killDaemon = () => killProcesses(daemons());
  const vmms = () => vmmsOf(sandbox().scope);

  const readMarks = () => vm().sh('cat /root/mark /etc/mark');
  const MARKS = 'on the work disk\non the root overlay';

  test('goes on with the same VMM over a daemon that dies three times more while it recovers (1.2, 3.8, 9.5)', async () => {
    await createVm(sandbox(), 'web');
    await vm().sh('echo on the work disk >/root/mark; echo on the root overlay >/etc/mark; sync');
    const [vmm] = vmms();
    await killDaemon();
    for (let death = 0; death < 3; death++) {
      const list = startBanger(sandbox(), ['vm', 'list', '-q']);
      await eventually('the next daemon', daemons, ({ length }) => length > 0);
      // A little later each time: before the database is open, while VMs are adopted, after it.
      await new Promise((resolve) => setTimeout(resolve, 100 + death * 150));
      await killDaemon();
      list.child.kill('SIGKILL');
      await list.ended;
      await killDaemon();
    }
    const { state, pid } = await vm().show();
    assert.deepEqual([state, pid], ['running', vmm]);
    assert.equal(await readMarks(), MARKS);
  });

  test('a daemon that dies between the start of the VMM and its record leaves no VMM behind (3.8, 9.5)', async () => {
    const before = vmms();
    const create = startBanger(sandbox(), ['vm', 'create', '--name', 'half']);
    await eventually('the VMM', vmms, ({ length }) => length > before.length);
    await killDaemon();
    await create.ended;
    assert.equal(await sandbox().must(['vm', 'list', '-q']), 'web\n');
    await eventually('its end', vmms, (now) => now.join() === before.join());
  });

  test('a VMM that dies while its guest boots is a failed creation, of which nothing is left (3.3, 9.5)', async () => {
    const before = new Set(vmms());
    const create = startBanger(sandbox(), ['vm', 'create', '--name', 'half', '--progress', 'plain']);
    await eventually('the boot', create.stderr, (text) => text.includes('✓ boot'));
    await killProcesses(vmms().filter((pid) => !before.has(pid)));
    assert.equal((await create.ended).status, 1, create.stderr());
    assert.match(create.stderr(), /ended during its boot/);
    assert.equal(await sandbox().must(['vm', 'list', '-q']), 'web\n');
  });

  test('a daemon that dies while the guest boots leaves a stopped VM with everything on its disks (3.6, 9.5)', async () => {
    await sandbox().must(['vm', 'kill', 'web']);
    const start = startBanger(sandbox(), ['vm', 'start', 'web', '--progress', 'plain']);
    await eventually('the boot', start.stderr, (text) => text.includes('✓ boot'));
    await killDaemon();
    await start.ended;
    assert.deepEqual([(await vm().show()).state, vmms()], ['stopped', []]);
    await sandbox().must(['vm', 'start', 'web']);
    assert.equal(await readMarks(), MARKS);
  });

  test('a VMM that dies in a start, before its guest answers, takes nothing along (3.6, 9.5)', async () => {
    await sandbox().must(['vm', 'kill', 'web']);
    const start = startBanger(sandbox(), ['vm', 'start', 'web', '--progress', 'plain']);
    await eventually('the boot', start.stderr, (text) => text.includes('✓ boot'));
    await killProcesses(vmms());
    assert.equal((await start.ended).status, 1, start.stderr());
    assert.equal((await vm().show()).state, 'stopped');
    await sandbox().must(['vm', 'start', 'web']);
    assert.equal(await readMarks(), MARKS);
  });

  test('a daemon and a VMM that die together leave a stopped VM (3.8, 9.5)', async () => {
    await killProcesses([...daemons(), ...vmms()]);
    const { state, pid } = await vm().show();
    assert.deepEqual([state, pid], ['stopped', null]);
    await sandbox().must(['vm', 'start', 'web']);
    assert.equal(await readMarks(), MARKS);
  });

  test('a daemon that dies in a delete after the VMM ended is followed by one that finishes it (3.5, 9.5)', async () => {
    const { paths } = await vm().show();
    const remove = startBanger(sandbox(), ['vm', 'delete', '--force', 'web']);
    await eventually('the end of the VMM', vmms, ({ length }) => length === 0);
    await killDaemon();
    await remove.ended;
    assert.equal(await sandbox().must(['vm', 'list', '-q']), '');
    assert.throws(() => statSync(paths.directory), { code: 'ENOENT' });
  });
});

describe('a file system that is full', { skip: process.getuid?.() === 0 ? false : 'only root mounts a small file system' }, () => {
  // Before the sandbox removes its directories.
  after(() => void execFileSync('umount', ['--lazy', join(sandbox().directory, 'state')]));
  const sandbox = useSandbox({ config: 'reserved_space = "0"\n' });

  /** Writes until nothing fits any more, as root and as the user that banger runs as. */
  function fill(): string {
    const path = join(sandbox().directory, 'state/filler');
    const file = openSync(path, 'w');
    try {
      for (const bytes of [1024 ** 2, 4096]) {
        const zeros = Buffer.alloc(bytes);
        for (;;) if (!write(file, zeros)) break;
      }
    } finally {
      closeSync(file);
    }
    return path;
  }

  function write(file: number, bytes: Buffer): boolean {
    try {
      return writeSync(file, bytes) === bytes.length;
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      return false;
    }
  }

  /** A guest that writes more than the host has is paused, which is told, and goes on without loss when there is room (5.4). */
  async function pauseAndGoOn(vm: ReturnType<typeof guest>): Promise<void> {
    // Told before the disk is full: a VMM that does not pause by itself has its disks held by then.
    await vm.sh(
      '(sleep 3; dd if=/dev/zero bs=1M count=24 | tr "\\\\0" x | dd of=/root/big conv=fsync; touch /run/written) >/dev/null 2>&1 </dev/null &',
    );
    const filler = fill();
    const error = async (): Promise<string | null> => (await vm.show()).lastError;
    const told = await eventually('a paused VM', error, (text) => text !== null);
    assert.match(told ?? '', /^the host's disk is full: it/);
    assert.equal((await vm.show()).state, 'running');
    assert.match(await sandbox().must(['vm', 'list']), /running \(!\)/);
    rmSync(filler);
    await eventually('a VM that goes on', error, (text) => text === null);
    await hasOurTime(sandbox(), vm);
    await vm.sh('while [ ! -e /run/written ]; do sleep 0.2; done');
    assert.equal(await vm.sh('tr -d x </root/big | wc -c; wc -c </root/big'), `0\n${24 * 1024 ** 2}`);
  }

  test('refuses a creation as NO_SPACE and pauses a writing guest; VMs can be listed, stopped and deleted, and continue with room (5.4, 9.5)', async () => {
    const state = join(sandbox().directory, 'state');
    const { uid } = statSync(state);
    // Room for two root file systems, should they be copies.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=900m,mode=0700', 'none', state]);
    chownSync(state, uid, uid);
    await createVm(sandbox(), 'web');
    await createVm(sandbox(), 'idle', '--no-start');
    const vm = guest(sandbox(), 'web');
    await vm.sh('echo kept >/root/mark; sync');
    const filler = fill();
    const refused = await sandbox().banger(['vm', 'create', '--name', 'more']);
    assert.equal(refused.status, 1, refused.stderr);
    assert.match(refused.stderr, /the disk is full|no space left/);
    assert.deepEqual((await sandbox().must(['vm', 'list', '-q'])).split('\n').toSorted(), ['', 'idle', 'web']);
    const { pid } = await daemonStatus(sandbox());
    await killProcesses([pid]);
    assert.equal((await vm.show()).state, 'running', 'the next daemon comes up');
    await sandbox().must(['vm', 'stop', 'web', '--grace', '2s']);
    await sandbox().must(['vm', 'delete', '--force', 'idle']);
    rmSync(filler);
    await sandbox().must(['vm', 'start', 'web']);
    assert.equal(await vm.sh('cat /root/mark'), 'kept');
    await pauseAndGoOn(vm);
    await sandbox().must(['vm', 'delete', '--force', 'web']);
    await sandbox().must(['daemon', 'stop']);
  });
});
