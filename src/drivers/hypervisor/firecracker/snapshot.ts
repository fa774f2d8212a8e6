import type { Host } from '../../../host/host.ts';
import type { MachineSpec } from '../contract.ts';
import { commonKey, processorOf, type SnapshotKey } from '../snapshot-key.ts';

/** Its state is in a format of the program, and its guests see the processor. @param program path of Firecracker */
export async function snapshotKey(host: Host, spec: MachineSpec, program: string): Promise<SnapshotKey> {
  return {
    ...(await commonKey(host, spec, 'firecracker', program)),
    processor: processorOf((await host.readIfThere('/proc/cpuinfo')) ?? ''),
    hostKernel: ((await host.readIfThere('/proc/sys/kernel/osrelease')) ?? '').trim(),
  };
}
