// The kinds of values in declarations, by their name: `<image>` means an image everywhere.
import type { Argument, Option } from 'commander';
import type { LiveKind } from './live.ts';

/** `copy` is one argument of vm cp. */
export type Kind = LiveKind | 'file' | 'copy' | 'none';

/** By the name of an argument or of a switch's value. */
const BY_NAME: Readonly<Record<string, Kind>> = {
  vm: 'vm',
  context: 'context',
  image: 'image',
  template: 'template',
  file: 'file',
  path: 'file',
  archive: 'file',
  directory: 'file',
};

/** A bare `<name>` or `<id>` refers to the group's noun. */
const BY_GROUP: Readonly<Record<string, LiveKind>> = { vm: 'vm', image: 'image', operation: 'operation', internal: 'vm' };

const SPECIAL: Readonly<Record<string, Kind>> = {
  'vm cp path': 'copy',
  // In the guest.
  'vm exec directory': 'none',
};

/** @param path the words of the argument's command */
export function kindOfArgument(path: readonly string[], argument: Argument): Kind {
  const name = argument.name();
  const group = path[0] ?? '';
  const grouped = (name === 'name' || name === 'id') && Object.hasOwn(BY_GROUP, group) ? BY_GROUP[group] : undefined;
  return SPECIAL[[...path, name].join(' ')] ?? grouped ?? BY_NAME[name] ?? 'none';
}

/** The same for the value of a switch, where a bare `<name>` is a new name. */
export function kindOfOption(path: readonly string[], option: Option): Kind {
  const name = /[<[]([a-z-]+)/.exec(option.flags)?.[1] ?? '';
  return SPECIAL[[...path, name].join(' ')] ?? BY_NAME[name] ?? 'none';
}
