// The real helper and the real kernel are in test/lab/dm-snapshot.test.ts.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, after, test } from 'node:test';
import { type SimulatedOverlayHelper, simulatedOverlayHelper } from '../../../../test/support/daemon/simulated-overlay-helper.ts';
import { realHost } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { storageConformance } from '../conformance.ts';
import type { StorageDriver } from '../contract.ts';
import { createDmSnapshotStorage } from './driver.ts';

const MIB = 1024 ** 2;
const never = new AbortController().signal;

const shared = mkdtempSync(join(tmpdir(), 'bgr-helper-'));
after(() => rmSync(shared, { recursive: true }));
const sharedHelper = simulatedOverlayHelper(shared);
storageConformance('dm-snapshot with a simulated helper', realHost, (host) => createDmSnapshotStorage({ host, helper: sharedHelper }), {
  reboot: () => Promise.resolve(sharedHelper.reboot()),
});

type Setting = { directory: string; helper: SimulatedOverlayHelper; driver: StorageDriver; overlay: { vmId: string; path: string } };

async function createdOverlay(t: TestContext): Promise<Setting> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-helper-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const helper = simulatedOverlayHelper(directory);
  const driver = createDmSnapshotStorage({ host: realHost, helper });
  const overlay = { vmId: 'abcdef01'.padEnd(32, '2'), path: join(directory, 'root.overlay') };
  writeFileSync(join(directory, 'base with 100% = of it'), Buffer.alloc(MIB));
  await driver.root.create({ ...overlay, basePath: join(directory, 'base with 100% = of it'), sizeBytes: 8 * MIB + 1 }, never);
  return { directory, helper, driver, overlay };
}

test('the helper gets ids and numbers, never a path (9.4)', async (t) => {
  const { helper, driver, overlay, directory } = await createdOverlay(t);
  await driver.root.attach(overlay, never);
  await driver.root.usage?.(overlay);
  await driver.root.extend?.(overlay, 2 * MIB);
  await driver.root.remove(overlay);
  assert.deepEqual(
    helper.requests.filter((request) => request !== 'hello'),
    ['attach abcdef01 8392704', 'status abcdef01', 'extend abcdef01 2097152', 'detach abcdef01'].map((words) => `overlay ${words}`),
  );
  assert.deepEqual(readdirSync(join(directory, 'users/0')), [], 'claims are left');
});

test('a refused attach leaves no claims, and says which refusals are a full disk (5.4)', async (t) => {
  const { helper, driver, overlay, directory } = await createdOverlay(t);
  for (const [errno, code] of Object.entries({ ENOSPC: 'NO_SPACE', EDQUOT: 'NO_SPACE', EBUSY: 'STORAGE_FAILED', EIO: 'STORAGE_FAILED' })) {
    helper.refusals.set('attach', errno);
    await assert.rejects(driver.root.attach(overlay, never), { code }, errno);
    assert.deepEqual(readdirSync(join(directory, 'users/0')), []);
  }
  assert.equal((await driver.root.attach(overlay, never)).path, helper.devicePath('abcdef01'));
});

test('without a helper, a missing overlay can be removed, and none can be attached (5.2, 9.2)', async (t) => {
  const { overlay } = await createdOverlay(t);
  const missing = new BangerError('PREREQUISITE_MISSING', 'the root helper does not answer', { remedy: 'sudo banger setup' });
  const driver = createDmSnapshotStorage({ host: realHost, helper: { ask: () => Promise.reject(missing) } });
  const reason = 'the root helper does not answer';
  const finding = { name: 'storage.dm-snapshot', level: 'fail', reason, remedy: 'sudo banger setup' };
  assert.deepEqual(await driver.checks(), { findings: [finding] });
  await assert.rejects(driver.root.attach(overlay, never), { code: 'PREREQUISITE_MISSING' });
  await driver.root.remove(overlay);
  assert.equal(await realHost.exists(overlay.path), false);
});

test('the helper reports a kernel without device-mapper, with the remedy (9.2)', async () => {
  const says = (line: string) => ({ ask: () => Promise.resolve(['hello version=1 uid=1000 directory=/x', line]) });
  const check = async (line: string) =>
    (await createDmSnapshotStorage({ host: realHost, helper: says(line) }).checks()).findings[0] ?? assert.fail();
  assert.equal((await check('overlay device-mapper=4.47.0')).level, 'pass');
  const finding = await check('overlay missing=No such device');
  assert.deepEqual([finding.level, finding.remedy], ['fail', 'sudo modprobe -a dm_mod dm_snapshot loop']);
  assert.match(finding.reason, /No such device/);
});

test('an overlay whose origin is lost can be removed, but not attached (5.2)', async (t) => {
  const { driver, overlay } = await createdOverlay(t);
  rmSync(`${overlay.path}.origin`);
  await assert.rejects(driver.root.attach(overlay, never), { code: 'STORAGE_FAILED', message: /origin does not name the base/ });
  await driver.root.remove(overlay);
});
