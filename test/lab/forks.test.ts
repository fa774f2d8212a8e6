// Forks of a real Firecracker, on a file system that clones files and on one that does not. Says for how long the first VM stood still.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { assertDifferent, rowsOf } from '../support/guest/identity.ts';
import { type GuestHandle, createVm, eventually, guest, useSandbox } from '../support/machine/e2e.ts';
import {
  type Drivers,
  LONG,
  SMALL,
  environmentOf,
  pictureOfHost,
  useInstalledHelper,
  withoutFirecracker,
} from '../support/machine/lab-host.ts';

const DRIVERS: Drivers = { hypervisor: 'firecracker', network: 'private', storage: 'copy' };
const LIMIT = { timeout: 1_200_000 };
/** Counts in memory and, flushed, on the disk; it ends between two numbers. */
const COUNTER = `i=0; trap "end=1" TERM
while test -z "$end"; do i=$((i+1)); echo $i >/dev/shm/count; echo $i | dd of=/root/count conv=fsync status=none; done`;

useInstalledHelper();
for (const place of ['/scratch/xfs', '/scratch/ext4']) {
  describe(`forks below ${place}`, { skip: withoutFirecracker }, () => forked(place));
}

/** @returns milliseconds between the last pause of the VM and what followed it */
async function lastPauseMs(vm: GuestHandle): Promise<number> {
  const lines = readFileSync((await vm.show()).paths.vmmLog, 'utf8').split('\n');
  const at = (state: string): number => {
    const line = lines.findLast((one) => one.includes(`{\\"state\\":\\"${state}\\"}`)) ?? assert.fail(`nothing made it ${state}`);
    return Date.parse(line.slice(0, 23));
  };
  return at('Resumed') - at('Paused');
}

function forked(place: string): void {
  let untouched = '';
  before(async () => {
    untouched = await pictureOfHost();
  });
  const sandbox = useSandbox(() => {
    process.env['TMPDIR'] = place;
    return { env: environmentOf(DRIVERS), settleMs: 30_000 };
  });

  test(
    'forks go on where the first one is, memory and disks agree, and each is a machine of its own (4.1, 10.3, 10.4)',
    LIMIT,
    async () => {
      const web = await createVm(sandbox(), 'web', ...SMALL);
      await web.sh(`systemd-run --quiet -p KillMode=mixed --unit=counter sh -c '${COUNTER}'`);
      const count = async (vm: GuestHandle): Promise<number> => Number(await vm.sh('cat /dev/shm/count || echo 0'));
      await eventually(
        'the counter',
        () => count(web),
        (seen) => seen > 3,
      );
      const begin = performance.now();
      assert.equal(await sandbox().must(['vm', 'fork', 'web', '--count', '2'], LONG), 'web-1\nweb-2\n');
      const tookMs = Math.round(performance.now() - begin);
      console.log(`below ${place}: forked twice in ${tookMs} ms, the first VM stood still for ${await lastPauseMs(web)} ms`);
      const forks = ['web-1', 'web-2'].map((name) => guest(sandbox(), name));
      for (const vm of [web, ...forks]) {
        const first = await count(vm);
        await eventually(
          `the counter of ${vm.name}`,
          () => count(vm),
          (seen) => seen > first,
        );
      }
      const [one = web, two = web] = forks;
      assertDifferent(await rowsOf(one), await rowsOf(two), (await web.show()).id);
      await sandbox().must(['vm', 'delete', '-f', 'web']);
      for (const vm of forks) {
        const read = 'systemctl stop counter; sync; echo 3 >/proc/sys/vm/drop_caches; cat /dev/shm/count /root/count';
        const [memory, disk] = (await vm.sh(read)).split('\n');
        assert.equal(disk, memory, vm.name);
        assert.equal(await vm.sh('dmesg | grep -ciE "ext4-fs (error|warning)|i/o error" || true'), '0');
      }
      await sandbox().must(['vm', 'stop', 'web-2'], LONG);
      await sandbox().must(['vm', 'start', 'web-2'], LONG);
      assert.equal(await two.sh('test -s /root/count && ! test -e /dev/shm/count && echo booted'), 'booted');
      await sandbox().must(['vm', 'delete', '-f', 'web-1', 'web-2']);
    },
  );

  test('the host is as it was before (5.2, 6.2, 9.5)', async () => {
    await sandbox().close();
    await eventually('an untouched host', pictureOfHost, (now) => now === untouched, 30_000);
  });
}
