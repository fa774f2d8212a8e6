import { machineSpecIn } from '../../../../test/support/vmm/machine-spec.ts';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { realHost } from '../../../host/host.ts';
import { describeForks } from '../conformance-forks.ts';
import { describeHypervisor } from '../conformance.ts';
import type { MachineSpec } from '../contract.ts';
import { createFakeHypervisor } from './driver.ts';
import { createFakeWorld } from './world.ts';

function createSpec(t: TestContext): MachineSpec {
  const directory = mkdtempSync(join(tmpdir(), 'banger-fake-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ['vmlinux', 'initramfs']) writeFileSync(join(directory, name), name);
  return machineSpecIn(directory, {
    kernelPath: join(directory, 'vmlinux'),
    initramfsPath: join(directory, 'initramfs'),
    disks: [],
  });
}

const shared = createFakeWorld();
const bench = {
  createDriver: () => createFakeHypervisor({ host: realHost, world: shared }),
  createSpec,
  createForkSpec: createSpec,
  keepsChannels: true,
  bootLimitMs: 5000,
  obeysShutdown: true,
};
describeHypervisor('fake', bench);
describeForks('fake', bench);

test('injected faults show as a failed start, an early death, a deaf agent and an ignored shutdown (4.4)', async (t) => {
  const world = createFakeWorld();
  const driver = createFakeHypervisor({ host: realHost, world });
  const signal = AbortSignal.timeout(5000);
  world.inject('web', 'fail-at-start');
  await assert.rejects(driver.start(createSpec(t), signal), { code: 'VMM_FAILED' });
  world.heal('web', 'fail-at-start');

  world.inject('*', 'die-after-start');
  const dying = await driver.start(createSpec(t), signal);
  assert.equal((await dying.exited).cause, 'crash');
  world.heal('*', 'die-after-start');

  world.inject('web', 'never-answer-agent');
  world.inject('web', 'ignore-shutdown');
  const deaf = await driver.start(createSpec(t), signal);
  await assert.rejects(deaf.openAgentChannel(AbortSignal.timeout(30)), { code: 'AGENT_UNREACHABLE' });
  await deaf.requestShutdown();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(world.machines.size, 1);
  await deaf.terminate();
  assert.equal(world.machines.size, 0);
});
