import { join } from 'node:path';
import type { MachineSpec } from '../../../src/drivers/hypervisor/contract.ts';
import { type Bundle, bundlePath } from '../../../src/model/image.ts';

/** @returns a small machine without a network, with sockets and logs in `directory`; `parts` is what matters to the test */
export function machineSpecIn(
  directory: string,
  parts: Partial<MachineSpec> & Pick<MachineSpec, 'kernelPath' | 'initramfsPath' | 'disks'>,
): MachineSpec {
  return {
    vmId: 'f'.repeat(32),
    vmName: 'web',
    vcpuCount: 1,
    memoryMib: 128,
    kernelArguments: [],
    network: { kind: 'none' },
    runtimeDirectory: directory,
    serialLogPath: join(directory, 'serial.log'),
    vmmLogPath: join(directory, 'vmm.log'),
    commandPrefix: [],
    ...parts,
  };
}

/** The same with the bundle's kernel. The guest has a root disk but stays in the initramfs, because the suites only need its agent. */
export function bundleSpecIn(directory: string, bundle: Bundle, parts: Partial<MachineSpec> & Pick<MachineSpec, 'disks'>): MachineSpec {
  return machineSpecIn(directory, {
    vmName: 'contract',
    memoryMib: 256,
    kernelPath: bundlePath(bundle, 'kernel'),
    initramfsPath: bundlePath(bundle, 'initramfs'),
    kernelArguments: ['banger.root=/dev/vda', 'banger.wait=1'],
    ...parts,
  });
}
