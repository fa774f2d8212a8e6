import type { Option } from '@commander-js/extra-typings';
import type { VmView } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';
import { collect, newOption } from './command.ts';

/** `--filter` of commands that take several VMs. */
export function filterOption(): Option<'--filter <key=value>', undefined, undefined, string[], false, undefined> {
  return newOption(
    '--filter <key=value>',
    'only VMs with this state, name, image or label, such as label=tier=test (may be repeated)',
  ).argParser(collect);
}

const FILTER_KEYS: Readonly<Record<string, (vm: VmView, value: string) => boolean>> = {
  state: (vm, value) => vm.state === value,
  name: (vm, value) => vm.name === value,
  image: (vm, value) => vm.image === value,
  label: (vm, value) => hasLabel(vm.labels, value),
};

/** @param wanted `key`, or `key=value` */
function hasLabel(labels: VmView['labels'], wanted: string): boolean {
  const equals = wanted.indexOf('=');
  const key = equals < 0 ? wanted : wanted.slice(0, equals);
  return Object.hasOwn(labels, key) && (equals < 0 || labels[key] === wanted.slice(equals + 1));
}

/** @returns whether a VM matches every filter. @throws INVALID_INPUT for an unknown key */
export function parseFilters(filters: readonly string[]): (vm: VmView) => boolean {
  const wanted = filters.map((filter) => {
    const equals = filter.indexOf('=');
    // docker's word for the state.
    const key = filter.slice(0, Math.max(equals, 0)).replace(/^status$/, 'state');
    const read = Object.hasOwn(FILTER_KEYS, key) ? FILTER_KEYS[key] : undefined;
    if (read === undefined) {
      throw new BangerError('INVALID_INPUT', `--filter: ${JSON.stringify(filter.slice(0, 80))} is not allowed`, {
        remedy: `give one of ${Object.keys(FILTER_KEYS).join(', ')} with a value, such as state=running`,
      });
    }
    return { read, value: filter.slice(equals + 1) };
  });
  return (vm) => wanted.every(({ read, value }) => read(vm, value));
}

/** @returns `key=value` separated by blanks; null for none */
export function labelText(labels: VmView['labels']): string | null {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? null : pairs.join(' ');
}
