// Flags, facts and columns of the settings of a VM, from their declarations.
import type { Command } from '@commander-js/extra-typings';
import { Option as BaseOption } from 'commander';
import type { VmView } from '../api/schemas.ts';
import { type AllSettings, allSettings } from '../model/settings/all.ts';
import type { Asked, NumberKind, NumberSetting, Setting, SwitchSetting, TextSetting } from '../model/settings/setting.ts';
import { NEVER, WRITTEN } from '../model/settings/text.ts';
import type { AnyCommand } from './command.ts';
import type { Column } from './render/table.ts';
import { parseDiskSize, parseInteger, parseMemory, parseSeconds, parseText } from './values.ts';

/** The values of setting flags, by member of the spec. */
export type SettingFlags = Asked<AllSettings>;
type Value = number | boolean | string;
type Values = Readonly<Record<string, Value | undefined>>;

/** A flag whose value commander stores under the name of the spec's member. */
class SettingOption extends BaseOption {
  readonly #member: string;

  constructor(member: string, flags: string, help: string) {
    super(flags, help);
    this.#member = member;
  }

  override attributeName(): string {
    return this.#member;
  }
}

const READ: Readonly<Record<NumberKind, (flag: string, value: string, range: NumberSetting['range']) => number>> = {
  count: parseInteger,
  memory: parseMemory,
  disk: parseDiskSize,
  duration: parseSeconds,
};

const PLACEHOLDERS: Readonly<Record<NumberKind, string>> = { count: '<count>', memory: '<size>', disk: '<size>', duration: '<time>' };

/**
 * @returns the command with a flag for each setting. @param verb the help of create names the defaults, that of set the limits of a change
 */
export function withSettings<Args extends unknown[], Flags extends Record<string, unknown>>(
  command: Command<Args, Flags>,
  verb: 'create' | 'set',
): Command<Args, Flags & SettingFlags> {
  for (const [member, setting] of allSettings()) {
    for (const option of optionsOf(member, setting, verb)) (command as unknown as AnyCommand).addOption(option);
  }
  return command;
}

function optionsOf(member: string, setting: Setting, verb: 'create' | 'set'): BaseOption[] {
  const byDefault = verb === 'set' ? 'unchanged' : defaultText(setting);
  if (setting.kind === 'switch') return switchOptions(member, setting, byDefault);
  return [setting.kind === 'text' ? textOption(member, setting, byDefault) : numberOption(member, setting, { verb, byDefault })];
}

function defaultText(setting: Setting): string {
  if (setting.kind === 'switch') return textOf(setting, setting.default ?? false);
  return setting.default === null ? NEVER : textOf(setting, setting.default);
}

function textOption(member: string, { flag, help, placeholder, problemOf }: TextSetting, byDefault: string): BaseOption {
  return new SettingOption(member, `--${flag} <${placeholder}>`, `${help} (default: ${byDefault})`).argParser((value: string) =>
    parseText(`--${flag}`, value, { problemOf, help }),
  );
}

function switchOptions(member: string, { flag, help }: SwitchSetting, byDefault: string): BaseOption[] {
  return [
    new SettingOption(member, `--${flag}`, `${help.on} (default: ${byDefault})`),
    new SettingOption(member, `--no-${flag}`, help.off),
  ];
}

function numberOption(
  member: string,
  setting: NumberSetting,
  { verb, byDefault }: { verb: 'create' | 'set'; byDefault: string },
): BaseOption {
  const { flag, kind, range, help } = setting;
  const bounds = kind === 'count' ? `, ${range.min} to ${range.max}` : '';
  const change = setting.onlyGrows === true ? '; it only grows' : bounds;
  const text = `${help}${verb === 'set' ? change : ''} (default: ${byDefault})`;
  return new SettingOption(member, `--${flag} ${PLACEHOLDERS[kind]}`, text).argParser((value: string) =>
    READ[kind](`--${flag}`, value, range),
  );
}

/** @returns the flags of settings that also apply to a running VM */
export function liveFlags(): string[] {
  return allSettings().flatMap(([, { flag, needsStop }]) => (needsStop ? [] : [`--${flag}`]));
}

/** @returns the setting flags among all flags */
export function givenSettings(flags: SettingFlags): SettingFlags {
  const values = allSettings().map(([member]) => [member, flags[member]] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

function textOf(setting: Setting, value: Value): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return value === '' ? NEVER : value;
  return setting.kind === 'switch' || setting.kind === 'text' ? String(value) : WRITTEN[setting.kind].text(value);
}

/** @returns a line of `vm show` for each setting; null for settings without one */
export function settingFacts(spec: VmView['spec']): [string, string | null][] {
  const values: Values = spec;
  return allSettings().map(([member, setting]) => [setting.label, factOf(setting, values[member])]);
}

function factOf(setting: Setting, value: Value | undefined): string | null {
  if (setting.kind === 'switch' && setting.shownOn !== undefined) return value === true ? setting.shownOn : null;
  return value === undefined ? null : textOf(setting, value);
}

/** @returns the columns of settings in `vm list`, or those of its wide table only */
export function settingColumns(place: 'table' | 'wide'): Column<VmView>[] {
  return allSettings().flatMap(([member, setting]) => {
    if (setting.column?.in !== place) return [];
    const of = ({ spec }: VmView): string => factOf(setting, (spec as Values)[member]) ?? '-';
    return [{ title: setting.column.title, of, ...(place === 'table' ? { minor: true } : {}) }];
  });
}
