// One VM after the other on the root path: what each leaves would add up.
import '../support/machine/in-lab.ts';
import { before, test } from 'node:test';
import { eventually, useSandbox } from '../support/machine/e2e.ts';
import {
  type Drivers,
  LONG,
  SMALL,
  environmentOf,
  pictureOfHost,
  useInstalledHelper,
  withoutFirecracker,
} from '../support/machine/lab-host.ts';

/** Enough to see what a life leaves; `LAB_CYCLES=50` to be sure, with a LAB_LIMIT_SECONDS to match. */
const CYCLES = Number(process.env['LAB_CYCLES'] ?? '3');
const CYCLE_LIMIT_MS = 400_000;
const drivers: Drivers = {
  hypervisor: withoutFirecracker === false ? 'firecracker-jailed' : 'qemu',
  network: 'bridge',
  storage: 'dm-snapshot',
};

useInstalledHelper();
let untouched = '';
before(async () => {
  untouched = await pictureOfHost();
});
const sandbox = useSandbox({ env: environmentOf(drivers), settleMs: 30_000 });

const name = `${CYCLES} lives in a row with ${Object.values(drivers).join(', ')} leave the host as the first one did (5.2, 6.2, 9.5)`;
test(name, { timeout: (CYCLES + 1) * CYCLE_LIMIT_MS }, async () => {
  // The daemon and the bridge stay between VMs.
  await sandbox().must(['vm', 'create', '--name', 'first', ...SMALL], LONG);
  await sandbox().must(['vm', 'delete', 'first']);
  const afterOne = await pictureOfHost();
  for (let cycle = 1; cycle <= CYCLES; cycle++) {
    const begin = performance.now();
    await sandbox().must(['vm', 'create', '--name', `life-${cycle}`, ...SMALL], LONG);
    await sandbox().must(['vm', 'delete', `life-${cycle}`]);
    await eventually(`the host after life ${cycle}`, pictureOfHost, (now) => now === afterOne, 30_000);
    // Not a diagnostic, which is shown when all is over.
    console.log(`life ${cycle} of ${CYCLES} was over after ${Math.round((performance.now() - begin) / 1000)} s`);
  }
});

test('with the daemon all is gone (6.2, 9.5)', async () => {
  await sandbox().close();
  await eventually('an untouched host', pictureOfHost, (now) => now === untouched, 30_000);
});
