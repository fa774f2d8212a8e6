import { basename, join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import type { MachineSpec } from '../contract.ts';
import type { NamedInState } from './machine-config.ts';
import { commonKey, memoryFile, processorOf, type SnapshotKey } from '../snapshot-key.ts';

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

/**
 * Whether the kernel can tell which pages a guest has used, so that the others need not be written. It cannot of memory that began as a
 * file of a snapshot, nor of pages that are swapped out.
 * @param maps /proc/PID/maps of the VMM @param status /proc/PID/status
 */
export function knowsUsedPages(maps: string, status: string): boolean {
  const isMapped = new RegExp(`/${basename(memoryFile(''))}(?: \\(deleted\\))?$`, 'm').test(maps);
  return !isMapped && /^VmSwap:\s*0 kB$/m.test(status);
}
