import { join } from 'node:path';
import { BangerError } from '../../model/errors.ts';
import type { MachineSpec } from './contract.ts';

/** What must be the same where a paused machine is to go on. Every driver has members of its own; a member that is gone counts as changed. */
export type SnapshotKey = Readonly<Record<string, string | number | readonly string[]>>;

/** The part of the host that keeps keys. */
type Files = {
  sha256File(path: string): Promise<string>;
  fileIdentity(path: string): Promise<string | undefined>;
  writeFileAtomic(path: string, content: string): Promise<void>;
  readIfThere(path: string): Promise<string | undefined>;
};

/** In the directory of a snapshot: the guest's memory, for VMMs that map it. */
export const memoryFile = (directory: string): string => join(directory, 'memory');

/** Of the files beside the key; a driver that writes them otherwise counts on. */
const FORMAT = 2;

/** How members are called in errors; those whose values mean something to people come with them. */
const MEMBERS: Readonly<Record<string, { name: string; showsValue?: true }>> = {
  format: { name: 'the format of snapshots' },
  vmm: { name: 'the VMM', showsValue: true },
  program: { name: "the VMM's program" },
  kernel: { name: "the image's kernel" },
  initramfs: { name: "the image's initramfs with the guest agent" },
  vcpuCount: { name: 'the number of vCPUs', showsValue: true },
  memoryMib: { name: 'the memory (MiB)', showsValue: true },
  accelerator: { name: 'the accelerator', showsValue: true },
  devices: { name: 'the devices of the machine' },
  memory: { name: 'the way its memory is kept' },
  tscKhz: { name: "the frequency of the host's time stamp counter (kHz)", showsValue: true },
  processor: { name: "the host's processor", showsValue: true },
  hostKernel: { name: "the host's kernel", showsValue: true },
};

/** A frequency that is measured comes out a little different each time; a guest does not notice this much. */
const MEASURED: Readonly<Record<string, number>> = { tscKhz: 0.001 };

/** @returns what holds for every VMM. @param program path of the VMM's program */
export async function commonKey(files: Files, spec: MachineSpec, vmm: string, program: string): Promise<SnapshotKey> {
  const [programSum, kernel, initramfs] = await Promise.all(
    [program, spec.kernelPath, spec.initramfsPath].map((path) => sumOf(files, path)),
  );
  const { vcpuCount, memoryMib } = spec;
  return { format: FORMAT, vmm, program: programSum ?? '', kernel: kernel ?? '', initramfs: initramfs ?? '', vcpuCount, memoryMib };
}

/** Of files of this daemon's life, by what tells one from its successor at the same path: they are large, and seldom change. */
const sums = new Map<string, string>();
/** So many images and VMMs are in use at once; who has more waits for a sum now and then. */
const MOST_SUMS = 64;

async function sumOf(files: Files, path: string): Promise<string> {
  const identity = (await files.fileIdentity(path)) ?? path;
  const known = sums.get(identity);
  if (known !== undefined) return known;
  const sum = await files.sha256File(path);
  if (sums.size >= MOST_SUMS) sums.clear();
  sums.set(identity, sum);
  return sum;
}

/** @param cpuinfo /proc/cpuinfo @returns its processor, for VMMs whose guests see it */
export function processorOf(cpuinfo: string): string {
  const member = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(cpuinfo)?.[1] ?? '';
  return ['model name', 'stepping', 'microcode'].map(member).join(', ');
}

export async function writeKey(files: Files, directory: string, key: SnapshotKey): Promise<void> {
  await files.writeFileAtomic(join(directory, 'key.json'), `${JSON.stringify(key, null, 1)}\n`);
}

/**
 * Compares the key of a snapshot with what there is now.
 * @throws SNAPSHOT_UNUSABLE that says what has changed
 */
export async function assertSameKey(files: Files, directory: string, spec: MachineSpec, present: SnapshotKey): Promise<void> {
  const saved = parseKey(await files.readIfThere(join(directory, 'key.json')));
  const changes = saved === undefined ? ['its key cannot be read'] : differences(saved, present);
  if (changes.length === 0) return;
  throw new BangerError('SNAPSHOT_UNUSABLE', `${spec.vmName} cannot be resumed: ${changes.join('; ')}`, {
    details: { vm: spec.vmName, changes },
  });
}

/** @returns a sentence for each member that differs */
export function differences(saved: SnapshotKey, present: SnapshotKey): string[] {
  const names = new Set([...Object.keys(saved), ...Object.keys(present)]);
  return [...names].filter((name) => !isSame(name, saved[name], present[name])).map((name) => describeChange(name, saved, present));
}

function isSame(name: string, saved: unknown, present: unknown): boolean {
  const tolerance = MEASURED[name];
  if (tolerance === undefined || typeof saved !== 'number' || typeof present !== 'number') {
    return JSON.stringify(saved) === JSON.stringify(present);
  }
  return Math.abs(saved - present) <= tolerance * saved;
}

function describeChange(name: string, saved: SnapshotKey, present: SnapshotKey): string {
  const member = MEMBERS[name] ?? { name };
  const values = 'showsValue' in member ? ` from ${textOf(saved[name])} to ${textOf(present[name])}` : '';
  return `${member.name} changed${values}`;
}

const textOf = (value: SnapshotKey[string] | undefined): string => String(value ?? 'none');

function parseKey(text: string | undefined): SnapshotKey | undefined {
  try {
    const value = JSON.parse(text ?? 'null') as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as SnapshotKey) : undefined;
  } catch {
    return undefined;
  }
}
