// Machines and programs for tests of the Firecracker driver.
import { machineSpecIn } from '../machine-spec.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, after } from 'node:test';
import type { MachineSpec } from '../../../../src/drivers/hypervisor/contract.ts';
import type { FirecrackerSettings } from '../../../../src/drivers/hypervisor/firecracker/checks.ts';

/** @returns settings for the simulated Firecracker, which needs no KVM; its wrapper is removed after the file's tests */
export function fakeFirecracker(): FirecrackerSettings {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-fc-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const program = join(directory, 'firecracker');
  const fake = join(import.meta.dirname, '../fake-firecracker.ts');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${fake}' "$@"\n`, { mode: 0o755 });
  return { program, accelerator: 'kvm', probeCachePath: join(directory, 'probe.json') };
}

/** @returns a machine with one disk, in a new private directory that is removed after the test; its kernel is empty */
export function createSpec(t: TestContext): MachineSpec {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-fc-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const files = { vmlinux: '\x7fELF', initramfs: 'initramfs', disk: 'x'.repeat(4096) };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return machineSpecIn(directory, {
    kernelPath: join(directory, 'vmlinux'),
    initramfsPath: join(directory, 'initramfs'),
    disks: [{ path: join(directory, 'disk'), format: 'raw', readOnly: false, durable: true }],
  });
}

/** @returns settings for the program that BANGER_FIRECRACKER names, or undefined; KVM is not checked */
export function realFirecracker(): { program: string } | undefined {
  const program = process.env['BANGER_FIRECRACKER'];
  return program === undefined || program === '' ? undefined : { program };
}
