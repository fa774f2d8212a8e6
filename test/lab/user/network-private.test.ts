// The contract suite of the private network as an ordinary user on Debian's own kernel, with nothing around it: the machine is thrown away.
import '../../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Machine } from '../../../src/drivers/hypervisor/contract.ts';
import { networkConformance } from '../../../src/drivers/network/conformance.ts';
import type { NetworkDriver } from '../../../src/drivers/network/contract.ts';
import { controlOne, holderInfo } from '../../../src/drivers/network/control-client.ts';
import { createPrivateNetwork } from '../../../src/drivers/network/private/driver.ts';
import { realHost } from '../../../src/host/host.ts';
import { bundleProgram } from '../../support/images/bundle-program.ts';

const forwarderPath = bundleProgram('forwarder');
const runtimeDirectory = join(mkdtempSync(join(tmpdir(), 'bgr-')), 'run');
const socketPath = join(runtimeDirectory, 'network.sock');
await mkdir(runtimeDirectory, { recursive: true, mode: 0o700 });
const open = (): NetworkDriver => createPrivateNetwork({ host: realHost, forwarderPath, runtimeDirectory });

/** @param list `/proc/modules`, or what it was when the lab began */
function isLoaded(name: string, list: string): boolean {
  return new RegExp(`^${name} `, 'm').test(readFileSync(list, 'utf8'));
}

test('the kernel loads what the rules of an ordinary user need by itself (6.1)', async () => {
  assert.notEqual(process.getuid?.(), 0);
  // Tests before this one are of an ordinary user too.
  assert.equal(isLoaded('nft_tproxy', '/var/lib/lab/modules-at-boot'), false, 'it was there before, so nothing is shown');
  const driver = open();
  await driver.ensure(new AbortController().signal);
  assert.equal(isLoaded('nft_tproxy', '/proc/modules'), true);
  await driver.sweep([]);
});

networkConformance('private', {
  open,
  machine: {} as Machine,
  remains: async () => {
    if ((await holderInfo(socketPath)) === undefined) return readdirSync(runtimeDirectory);
    return (await controlOne(socketPath, 'tap list')).map((line) => line.slice('tap '.length));
  },
});
