// Runs the contract suite on real QEMU with the official bundle; takes about half a minute under emulation.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, after, test } from 'node:test';
import { describeHypervisor } from '../../src/drivers/hypervisor/conformance.ts';
import type { MachineSpec } from '../../src/drivers/hypervisor/contract.ts';
import { createQemuHypervisor } from '../../src/drivers/hypervisor/qemu/driver.ts';
import { realHost } from '../../src/host/host.ts';

const bundle = process.env['BANGER_BUNDLE'];
const kernelPath = join(bundle ?? '', 'vmlinux');
const initramfsPath = join(bundle ?? '', 'initramfs');
const missing = bundle === undefined ? 'BANGER_BUNDLE is not set' : [kernelPath, initramfsPath].find((path) => !existsSync(path));

if (missing === undefined) describeWithBundle();
else test('QEMU keeps the hypervisor contract (4.2)', { skip: `no bundle: ${missing}` }, () => undefined);

function describeWithBundle(): void {
  const scratch = mkdtempSync(join(tmpdir(), 'bgr-'));
  let count = 0;
  after(() => rmSync(scratch, { recursive: true, force: true }));
  const settings = { program: 'qemu-system-x86_64', accelerator: 'auto', probeCachePath: join(scratch, 'probe.json') } as const;
  describeHypervisor('qemu', {
    createDriver: () => createQemuHypervisor({ host: realHost, settings }),
    createSpec: (t) => createSpec(t, join(scratch, `${count++}`)),
    bootLimitMs: 60_000,
    obeysShutdown: false,
  });
}

function createSpec(t: TestContext, directory: string): MachineSpec {
  mkdirSync(directory, { mode: 0o700 });
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return {
    vmId: 'e'.repeat(32),
    vmName: 'contract',
    vcpuCount: 1,
    memoryMib: 256,
    kernelPath,
    initramfsPath,
    // The guest stays in the initramfs, whose agent is all this suite talks to.
    kernelArguments: ['banger.wait=1'],
    disks: [],
    network: { kind: 'user', macAddress: '02:00:00:00:00:01', restricted: true },
    runtimeDirectory: directory,
    serialLogPath: join(directory, 'serial.log'),
    vmmLogPath: join(directory, 'vmm.log'),
    commandPrefix: [],
  };
}
