// Overlays of an ordinary user, by the helper as `banger setup` installs it: with all that its unit forbids it.
import '../../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createHelperClient } from '../../../src/daemon/helper-client.ts';
import { storageConformance } from '../../../src/drivers/storage/conformance.ts';
import { createDmSnapshotStorage } from '../../../src/drivers/storage/dm-snapshot/driver.ts';
import { realHost } from '../../../src/host/host.ts';
import { createVm, daemonStatus, eventually, useSandbox } from '../../support/machine/e2e.ts';

const PROGRAM = join(import.meta.dirname, '../../../bin/banger');
const asRoot = async (...argv: string[]): Promise<string> => (await realHost.run(['sudo', ...argv], { timeoutMs: 120_000 })).stdout;
const traces = async (): Promise<string> => `${await asRoot('losetup', '--all')}\n${await asRoot('dmsetup', 'ls')}`;

let untouched = '';
before(async () => {
  untouched = await traces();
  await asRoot(PROGRAM, 'setup', '--user', 'dev');
});
after(async () => {
  await asRoot(PROGRAM, 'setup', '--uninstall');
  assert.equal(await traces(), untouched);
});

storageConformance('dm-snapshot for an ordinary user', realHost, (host) =>
  createDmSnapshotStorage({ host, helper: createHelperClient('/run/banger/helper.sock', 'STORAGE_FAILED') }),
);

test('the helper ends when nobody has anything of it, and is there again for the next (9.4)', async () => {
  const helper = createHelperClient('/run/banger/helper.sock', 'STORAGE_FAILED');
  const state = async (): Promise<string> => (await asRoot('sh', '-c', 'systemctl is-active banger-helper.service || :')).trim();
  await helper.ask('hello');
  assert.equal(await state(), 'active');
  await eventually('the end of the helper', state, (seen) => seen === 'inactive', 60_000);
  await helper.ask('hello');
  assert.equal(await state(), 'active');
});

describe('a VM on a dm-snapshot', () => {
  const sandbox = useSandbox({ config: 'hypervisor = "qemu"\n[storage]\ndriver = "dm-snapshot"\n' });

  test('boots, is given more space before it needs it, keeps what it wrote, and leaves nothing (3.6, 5.1, 5.2, 5.4)', async () => {
    const vm = await createVm(sandbox(), 'one', '--no-nat');
    assert.equal((await daemonStatus(sandbox())).drivers.storage.name, 'dm-snapshot');
    const { id } = await vm.show();
    const device = `/dev/banger/1000/bgr-${id.slice(0, 8)}`;
    assert.ok(existsSync(device));
    const sectors = async (): Promise<number> =>
      Number(/ (\d+)\/(\d+) /.exec(await asRoot('dmsetup', 'status', `bgr-${id.slice(0, 8)}`))?.[2]);
    assert.equal((await sectors()) * 512, 256 * 1024 ** 2);
    // md5sum, because cksum uses instructions that are announced to nested guests under emulation and do not work there.
    const write =
      'cd /var/tmp; head -c 40M /dev/urandom >large-1; for n in 2 3 4 5; do cp large-1 large-$n; sync; done; md5sum large-* >/etc/sums';
    await vm.sh(write, { timeoutMs: 300_000 });
    assert.ok((await sectors()) * 512 > 256 * 1024 ** 2, 'it was not extended');
    assert.equal((await vm.show()).lastError, null);
    await sandbox().must(['vm', 'stop', 'one']);
    assert.ok(!existsSync(device), 'a stopped VM holds its device');
    assert.equal(await traces(), untouched);
    await sandbox().must(['vm', 'start', 'one']);
    assert.equal(await vm.sh('cd /var/tmp; md5sum large-* | diff - /etc/sums && echo same', { timeoutMs: 120_000 }), 'same');
    await sandbox().must(['vm', 'delete', '--force', 'one']);
    assert.equal(await traces(), untouched);
  });
});
