// The lab is what it is for: an ordinary Debian kernel with everything that the root path uses.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { learnAcceleration } from '../../src/drivers/hypervisor/qemu/acceleration.ts';
import { realHost } from '../../src/host/host.ts';

test('KVM runs code at full speed, nested in the emulated machine, and is chosen (4.3)', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'banger-probe-'));
  try {
    const { kvm } = await learnAcceleration(realHost, '/usr/bin/qemu-system-x86_64', join(directory, 'probe.json'));
    assert.equal(kvm.level, 'pass', kvm.reason);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('device-mapper has the targets of a snapshot, and loop devices can be made (5.1)', async () => {
  const { stdout } = await realHost.run(['dmsetup', 'targets']);
  for (const target of ['linear', 'snapshot']) assert.match(stdout, new RegExp(`^${target} `, 'm'));
  assert.ok(existsSync('/dev/loop-control'));
  assert.ok(existsSync('/dev/mapper/control'));
});

test('there are TAPs, bridges and nftables (6.2)', async () => {
  await realHost.run(['ip', 'link', 'add', 'lab-bridge', 'type', 'bridge']);
  await realHost.run(['ip', 'tuntap', 'add', 'lab-tap', 'mode', 'tap']);
  try {
    await realHost.run(['ip', 'link', 'set', 'lab-tap', 'master', 'lab-bridge']);
    await realHost.run(['nft', '-f', '-'], {
      input: 'table inet lab { chain c { type nat hook postrouting priority 100; masquerade; }; }\n',
    });
    await realHost.run(['nft', 'delete', 'table', 'inet', 'lab']);
  } finally {
    await realHost.run(['ip', 'link', 'delete', 'lab-tap']);
    await realHost.run(['ip', 'link', 'delete', 'lab-bridge']);
  }
});

test('control groups are of version 2 and limit CPU, memory and processes (4.1)', () => {
  const controllers = readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').trim().split(' ');
  for (const name of ['cpu', 'memory', 'pids', 'io'])
    assert.ok(controllers.includes(name), `${name} is not among ${controllers.join(' ')}`);
});
