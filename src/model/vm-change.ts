import { formatSize } from '../lib/size.ts';
import { BangerError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { checkName } from './name.ts';
import { decideAction } from './vm-state.ts';
import type { Vm, VmSpec } from './vm.ts';

/** What a user asks of `vm set`; members that are left out stay. */
export type VmChangeRequest = {
  name?: string | undefined;
  /** By key: the value to set, null to remove it; others stay (RFC 7396). */
  labels?: Readonly<Record<string, string | null>> | undefined;
} & { [Member in keyof VmSpec]?: VmSpec[Member] | undefined };

/** What a VMM reads once, when it starts, and the flag that asks for it. */
const NEEDS_STOP = {
  vcpuCount: '--vcpu',
  memoryMib: '--memory',
  workDiskBytes: '--disk-size',
  rootOverlayBytes: '--system-overlay-size',
  hostCa: '--host-ca',
  hostProxy: '--host-proxy',
} as const;

const DISKS = { workDiskBytes: 'work disk', rootOverlayBytes: 'root file system' } as const;

/**
 * Judges the whole request before any of it is done.
 * @returns name, labels and spec as they are to be
 * @throws WRONG_STATE naming the flags that need a stop; INVALID_INPUT for a disk that would shrink, or a bad name
 */
export function decideChange(vm: Vm, asked: VmChangeRequest): Pick<Vm, 'name' | 'spec' | 'labels'> {
  const name = asked.name === undefined ? vm.name : checkName(asked.name);
  const spec: VmSpec = {
    vcpuCount: asked.vcpuCount ?? vm.spec.vcpuCount,
    memoryMib: asked.memoryMib ?? vm.spec.memoryMib,
    workDiskBytes: asked.workDiskBytes ?? vm.spec.workDiskBytes,
    rootOverlayBytes: asked.rootOverlayBytes ?? vm.spec.rootOverlayBytes,
    nat: asked.nat ?? vm.spec.nat,
    ...trustOf(asked, vm.spec),
  };
  for (const member of ['workDiskBytes', 'rootOverlayBytes'] as const) refuseShrinking(vm, member, spec[member]);
  decideAction(vm, 'set');
  if (vm.state === 'running') refuseLive(vm, spec);
  return { name, spec, labels: changedLabels(vm.labels, asked.labels ?? {}) };
}

/** @returns the labels as they are to be. @throws INVALID_INPUT for too many */
export function changedLabels(present: Vm['labels'], asked: NonNullable<VmChangeRequest['labels']>): Vm['labels'] {
  const merged = Object.entries({ ...present, ...asked }).filter((pair): pair is [string, string] => pair[1] !== null);
  const { maxCount } = LIMITS.labels;
  if (merged.length <= maxCount) return Object.fromEntries(merged);
  throw new BangerError('INVALID_INPUT', `${merged.length} labels are more than the ${maxCount} that a VM can have`, {
    remedy: 'remove some, or put what belongs together into one value',
    details: { field: 'labels', maximum: maxCount },
  });
}

/** @returns what is said of the host's trust, by the request or else by what is there; nothing where nobody has said anything */
export function trustOf(asked: VmChangeRequest, present: Pick<VmSpec, 'hostCa' | 'hostProxy'>): Pick<VmSpec, 'hostCa' | 'hostProxy'> {
  const [hostCa, hostProxy] = [asked.hostCa ?? present.hostCa, asked.hostProxy ?? present.hostProxy];
  return { ...(hostCa === undefined ? {} : { hostCa }), ...(hostProxy === undefined ? {} : { hostProxy }) };
}

function refuseShrinking(vm: Vm, member: keyof typeof DISKS, askedBytes: number): void {
  const presentBytes = vm.spec[member];
  if (askedBytes >= presentBytes) return;
  const sentence = `the ${DISKS[member]} of ${vm.name} has ${formatSize(presentBytes)} and cannot shrink to ${formatSize(askedBytes)}`;
  throw new BangerError('INVALID_INPUT', sentence, {
    remedy: `use ${NEEDS_STOP[member]} ${Math.ceil(presentBytes / 1024 ** 2)}M or more`,
    details: { field: member, vm: vm.name, presentBytes, askedBytes },
  });
}

function refuseLive(vm: Vm, spec: VmSpec): void {
  const members = Object.keys(NEEDS_STOP) as (keyof typeof NEEDS_STOP)[];
  const changed = members.filter((member) => spec[member] !== vm.spec[member]);
  if (changed.length === 0) return;
  const flags = changed.map((member) => NEEDS_STOP[member]);
  const verb = flags.length === 1 ? 'needs' : 'need';
  throw new BangerError('WRONG_STATE', `VM ${vm.name} is running, and ${flags.join(', ')} ${verb} it stopped; nothing was changed`, {
    remedy: `banger vm stop ${vm.name}`,
    details: { vm: vm.name, state: vm.state, action: 'set', needsStop: flags },
  });
}
