import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import type { MachineSpec } from '../contract.ts';
import type { NamedInState } from './machine-config.ts';
import { commonKey, processorOf, type SnapshotKey } from '../snapshot-key.ts';

/** Its state is in a format of the program, and its guests see the processor. @param program path of Firecracker */
export async function snapshotKey(host: Host, spec: MachineSpec, program: string): Promise<SnapshotKey> {
  return {
    ...(await commonKey(host, spec, 'firecracker', program)),
    processor: processorOf((await host.readIfThere('/proc/cpuinfo')) ?? ''),
    hostKernel: ((await host.readIfThere('/proc/sys/kernel/osrelease')) ?? '').trim(),
  };
}

const namesFile = (directory: string): string => join(directory, 'names.json');

/** Writes beside the state what it names. */
export async function writeNames(host: Host, directory: string, names: NamedInState): Promise<void> {
  await host.writeFileAtomic(namesFile(directory), JSON.stringify(names));
}

/** @returns what the state in the directory names. @param present for a snapshot that does not tell, and so is one of this machine */
export async function readNames(host: Host, directory: string, present: NamedInState): Promise<NamedInState> {
  const text = await host.readIfThere(namesFile(directory));
  return text === undefined ? present : (JSON.parse(text) as NamedInState);
}
