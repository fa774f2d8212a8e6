// A third VMM: it passes the contract's suite, and a daemon works with it without any other change (4.4).
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { compose } from '../../../../src/daemon/compose/compose.ts';
import { DRIVERS, namesOf, type Registry } from '../../../../src/daemon/compose/registry.ts';
import { loadConfig } from '../../../../src/daemon/config.ts';
import { createServer } from '../../../../src/daemon/server.ts';
import { createApi } from '../../../../src/client/api.ts';
import { createSend } from '../../../../src/client/send.ts';
import { describeHypervisor } from '../../../../src/drivers/hypervisor/conformance.ts';
import type { MachineSpec } from '../../../../src/drivers/hypervisor/contract.ts';
import { createFakeNetwork } from '../../../../src/drivers/network/fake/driver.ts';
import { realHost } from '../../../../src/host/host.ts';
import { BUNDLE_PARTS } from '../../../../src/model/image.ts';
import { created, done } from '../../daemon/test-daemon.ts';
import { createTestWorld } from '../../daemon/test-world.ts';
import { createToyHypervisor } from './driver.ts';

function createSpec(t: TestContext): MachineSpec {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-toy-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ['vmlinux', 'initramfs']) writeFileSync(join(directory, name), '');
  return {
    ...{ vmId: 'a'.repeat(32), vmName: 'toy', vcpuCount: 1, memoryMib: 128, kernelArguments: [], disks: [], commandPrefix: [] },
    kernelPath: join(directory, 'vmlinux'),
    initramfsPath: join(directory, 'initramfs'),
    network: { kind: 'none' },
    runtimeDirectory: directory,
    serialLogPath: join(directory, 'serial.log'),
    vmmLogPath: join(directory, 'vmm.log'),
  };
}

describeHypervisor('toy', {
  createDriver: () => createToyHypervisor({ host: realHost }),
  createSpec,
  bootLimitMs: 20_000,
  obeysShutdown: true,
});

/** The one line that a new driver needs, before banger's own drivers. */
const WITH_TOY: Registry = {
  ...DRIVERS,
  hypervisors: { toy: createToyHypervisor, ...DRIVERS.hypervisors },
  // This test must not touch the machine.
  networks: { fake: () => createFakeNetwork() },
};

test('with one line in the list of drivers a daemon offers it, chooses it, runs VMs on it and shows it in doctor (4.4)', async (t) => {
  const world = createTestWorld();
  t.after(() => world.remove());
  const env = {
    BANGER_BUNDLE: makeBundle(join(world.directory, 'bundle')),
    BANGER_DNS_ENABLED: 'false',
    BANGER_HTTP_ENABLED: 'false',
    BANGER_RESERVED_SPACE: '0',
  };
  const { config } = loadConfig(world.directories.configPath, { ...env, BANGER_HYPERVISOR: 'toy' }, namesOf(WITH_TOY));
  const build = { id: 'dev', version: '0.0.0-dev' };
  const log = pino({ enabled: false });
  const daemon = await compose({ directories: world.directories, config, log, build, requestShutdown: () => undefined }, WITH_TOY);
  const server = await createServer(daemon.services, build);
  t.after(async () => {
    await server.close();
    await daemon.close();
  });
  await daemon.recover();
  await server.listen({ path: world.directories.socketPath });
  const api = createApi(createSend(world.directories.socketPath));

  const vm = await created(api, 'web');
  assert.deepEqual([vm.state, vm.hypervisor], ['running', 'toy']);
  assert.equal((await api.health('web')).agent, 'ok');
  assert.equal(readFileSync(vm.paths.serialLog, 'utf8'), 'toy guest: up\n');
  assert.deepEqual((await api.daemon()).drivers.hypervisor, { name: 'toy', reason: 'hypervisor = "toy"' });
  const row = (await api.doctor()).drivers.find(({ name }) => name === 'toy');
  assert.deepEqual([row?.usable, row?.chosen, row?.accelerator, row?.reason], [true, true, 'tcg', 'toy 1.0']);
  await done(api, api.beginVm('web', 'stop'));
  await done(api, api.beginVm('web', 'delete'));
  assert.deepEqual(world.remains(), []);
});

test('what config may ask for comes from the list of drivers alone (4.4)', () => {
  assert.throws(() => loadConfig('/nonexistent', { BANGER_HYPERVISOR: 'toy' }, namesOf(DRIVERS)), { code: 'CONFIG_INVALID' });
  assert.equal(loadConfig('/nonexistent', { BANGER_HYPERVISOR: 'toy' }, namesOf(WITH_TOY)).config.hypervisor, 'toy');
});

/** @returns a complete bundle with small parts */
function makeBundle(directory: string): string {
  mkdirSync(directory);
  for (const part of BUNDLE_PARTS) writeFileSync(join(directory, part), 'data');
  const hash = '0'.repeat(64);
  const manifest = {
    ...{ formatVersion: 1, architecture: 'x86_64', distribution: 'debian bookworm', kernelVersion: '6.1.0' },
    ...{ builtAt: '2026-01-02T03:04:05Z', inputsHash: hash, packages: [], packagesHash: hash },
    files: Object.fromEntries(BUNDLE_PARTS.map((part) => [part, { path: part, sizeBytes: 4, sha256: hash }])),
  };
  writeFileSync(join(directory, 'bundle.json'), JSON.stringify(manifest));
  return directory;
}
