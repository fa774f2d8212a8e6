import type { Option } from '@commander-js/extra-typings';
import type { VmView } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';
import { collect, newOption } from './command.ts';

/** `--filter` of commands that take several VMs. */
export function filterOption(): Option<'--filter <key=value>', undefined, undefined, string[], false, undefined> {
  return newOption('--filter <key=value>', 'only those with this state, name or image (may be repeated)').argParser(collect);
}

const FILTER_KEYS: Readonly<Record<string, (vm: VmView) => string>> = {
  state: (vm) => vm.state,
  name: (vm) => vm.name,
  image: (vm) => vm.image,
};

/** @returns whether a VM has what every filter asks for. @throws INVALID_INPUT for an unknown key */
export function parseFilters(filters: readonly string[]): (vm: VmView) => boolean {
  const wanted = filters.map((filter) => {
    const equals = filter.indexOf('=');
    const key = filter.slice(0, Math.max(equals, 0));
    const read = Object.hasOwn(FILTER_KEYS, key) ? FILTER_KEYS[key] : undefined;
    if (read === undefined) {
      throw new BangerError('INVALID_INPUT', `--filter: ${JSON.stringify(filter.slice(0, 80))} is not allowed`, {
        remedy: `give one of ${Object.keys(FILTER_KEYS).join(', ')} with a value, such as state=running`,
      });
    }
    return { read, value: filter.slice(equals + 1) };
  });
  return (vm) => wanted.every(({ read, value }) => read(vm) === value);
}
