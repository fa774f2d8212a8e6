import { BangerError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { checkName } from './name.ts';
import { type AllSettings, allSettings, type NumberMember, numberSettings, SETTINGS } from './settings/all.ts';
import { type Asked, type NumberSetting, settle } from './settings/setting.ts';
import { WRITTEN } from './settings/text.ts';
import { decideAction } from './vm-state.ts';
import type { Vm, VmSpec } from './vm.ts';

/** The request of `vm set`; members that are left out stay. */
export type VmChangeRequest = {
  name?: string | undefined;
  /** By key: the value to set, null to remove the key; other keys stay (RFC 7396). */
  labels?: Readonly<Record<string, string | null>> | undefined;
} & Asked<AllSettings>;

/**
 * Checks the whole request before anything is changed.
 * @returns the new name, labels and spec
 * @throws WRONG_STATE with the flags that need a stopped VM; INVALID_INPUT for shrinking what only grows, or a bad name
 */
export function decideChange(vm: Vm, asked: VmChangeRequest): Pick<Vm, 'name' | 'spec' | 'labels'> {
  const name = asked.name === undefined ? vm.name : checkName(asked.name);
  const spec = settle(SETTINGS, asked, vm.spec);
  for (const [member, setting] of numberSettings()) {
    const [before, after] = [vm.spec[member], spec[member]];
    if (setting.onlyGrows !== true || before === undefined || after === undefined || after >= before) continue;
    throw shrunk(vm, { member, setting, present: before, asked: after });
  }
  decideAction(vm, 'set');
  if (vm.state === 'running') refuseLive(vm, spec);
  return { name, spec, labels: changedLabels(vm.labels, asked.labels ?? {}) };
}

/** @returns the new labels. @throws INVALID_INPUT for too many */
export function changedLabels(present: Vm['labels'], asked: NonNullable<VmChangeRequest['labels']>): Vm['labels'] {
  const merged = Object.entries({ ...present, ...asked }).filter((pair): pair is [string, string] => pair[1] !== null);
  const { maxCount } = LIMITS.labels;
  if (merged.length <= maxCount) return Object.fromEntries(merged);
  throw new BangerError('INVALID_INPUT', `${merged.length} labels are more than the ${maxCount} that a VM can have`, {
    remedy: 'remove some, or put what belongs together into one value',
    details: { field: 'labels', maximum: maxCount },
  });
}

type Shrinking = { member: NumberMember; setting: NumberSetting; present: number; asked: number };

function shrunk(vm: Vm, { member, setting: { kind, name, flag }, present, asked }: Shrinking): BangerError {
  const { text, word } = WRITTEN[kind];
  const sentence = `the ${name} of ${vm.name} has ${text(present)} and cannot shrink to ${text(asked)}`;
  return new BangerError('INVALID_INPUT', sentence, {
    remedy: `use --${flag} ${word(present)} or more`,
    details: { field: member, vm: vm.name, presentBytes: present, askedBytes: asked },
  });
}

function refuseLive(vm: Vm, spec: VmSpec): void {
  const changed = allSettings().filter(([member, { needsStop }]) => needsStop && spec[member] !== vm.spec[member]);
  if (changed.length === 0) return;
  const flags = changed.map(([, { flag }]) => `--${flag}`);
  const verb = flags.length === 1 ? 'needs' : 'need';
  throw new BangerError('WRONG_STATE', `VM ${vm.name} is running, and ${flags.join(', ')} ${verb} it stopped; nothing was changed`, {
    remedy: `banger vm stop ${vm.name}`,
    details: { vm: vm.name, state: vm.state, action: 'set', needsStop: flags },
  });
}
