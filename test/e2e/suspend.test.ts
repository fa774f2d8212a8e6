// A machine that is suspended and goes on, past the daemon that suspended it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createVm, daemonStatus, eventually, guest, killProcesses, useSandbox } from '../support/machine/e2e.ts';
import { hasOurTime } from '../support/guest/guest-clock.ts';

const sandbox = useSandbox();
const skip = process.env['BANGER_HYPERVISOR'] === 'firecracker-jailed' ? 'a jailed VMM has no snapshots' : false;

/**
 * Counts in memory and on both disks; whoever loses any of them disagrees with the others. It ends between two rounds: a file that a
 * signal meets between its truncation and its content is empty.
 */
const COUNTER =
  'i=0; trap "end=1" TERM; while test -z "$end"; do i=$((i+1)); echo $i >/dev/shm/count; echo $i >/root/count; echo $i >/var/tmp/count; sleep 0.05; done';
const counts = 'cat /dev/shm/count /root/count /var/tmp/count';

test(
  'a suspended VM outlives the daemon and goes on: processes, memory, both disks, clock, network, name and ssh (10.5, 10.8)',
  { skip },
  async () => {
    const vm = await createVm(sandbox(), 'web');
    await vm.sh(
      `systemd-run --quiet --unit=counter sh -c '${COUNTER}'; cp /bin/sh /dev/shm/program; sha256sum /dev/shm/program >/dev/shm/sum`,
    );
    const boot = await vm.sh('cat /proc/sys/kernel/random/boot_id');
    await sandbox().must(['vm', 'suspend', 'web']);
    assert.match(await sandbox().must(['vm', 'list', '--no-headers']), /^web +suspended /m);
    const suspended = await vm.show();
    assert.deepEqual([suspended.state, suspended.pid], ['suspended', null]);
    await killProcesses([(await daemonStatus(sandbox())).pid]);
    await sandbox().must(['vm', 'resume', 'web']);
    assert.equal(await vm.sh('cat /proc/sys/kernel/random/boot_id; cd /; sha256sum --quiet -c /dev/shm/sum'), boot);
    const first = Number((await vm.sh(counts)).split('\n')[0]);
    await eventually(
      'the counter',
      async () => Number((await vm.sh(counts)).split('\n')[0]),
      (now) => now > first,
      30_000,
    );
    const [memory = 0, work = 0, root = 0] = (await vm.sh(`systemctl stop counter; ${counts}`)).split('\n').map(Number);
    assert.ok(memory > first);
    assert.deepEqual([work, root], [memory, memory]);
    await hasOurTime(sandbox(), vm);
    assert.equal(await sandbox().must(['vm', 'ssh', 'web', '--', 'hostname']), 'web\n');
    assert.match(await vm.sh('dmesg | grep -ci "ext4-fs error" || true'), /^0$/);
  },
);

test('memory is used once: a VM whose VMM ended after its resume boots, and a second resume is refused (10.5)', { skip }, async () => {
  await sandbox().must(['vm', 'kill', 'web']);
  const again = await sandbox().banger(['vm', 'resume', 'web']);
  assert.notEqual(again.status, 0);
  assert.match(again.stderr, /web is not suspended[\s\S]*banger vm start web/);
  await sandbox().must(['vm', 'start', 'web']);
});

test('memory of another machine is refused, and the command that the error names boots from the disks (10.5)', { skip }, async () => {
  const vm = guest(sandbox(), 'web');
  await vm.sh('echo kept >/root/kept; sync');
  await sandbox().must(['vm', 'suspend', 'web']);
  const path = join((await vm.show()).paths.directory, 'snapshot/key.json');
  const key = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...key, program: 'another' }));
  const refused = await sandbox().banger(['vm', 'start', 'web']);
  assert.match(refused.stderr, /the VMM's program changed/);
  const remedy = /banger (vm start --discard-memory web)/.exec(refused.stderr)?.[1]?.split(' ') ?? assert.fail(refused.stderr);
  assert.match(await sandbox().must(['vm', 'list', '--no-headers']), /^web +suspended .*\(!\) /m);
  await sandbox().must(remedy);
  assert.equal(await vm.sh('cat /root/kept; ls /dev/shm'), 'kept');
});
