// Defaults of new VMs in config.toml: a key for each setting.
import { z } from 'zod';
import { type AllSettings, allSettings, type Member } from '../model/settings/all.ts';
import type { NumberKind, NumberSetting, Setting, ValueOf } from '../model/settings/setting.ts';
import type { VmSpec } from '../model/vm.ts';
import { sizeSchema } from './size-schema.ts';

const MIB = 1024 ** 2;

type KeyOf<Flag extends string> = Flag extends `${infer First}-${infer Rest}` ? `${First}_${KeyOf<Rest>}` : Flag;

/** Sizes in bytes. */
export type SettingDefaults = { [M in Member as KeyOf<AllSettings[M]['flag']>]: ValueOf<AllSettings[M]> };

/** @returns the key of [defaults] */
export function keyOf({ flag }: Pick<Setting, 'flag'>): string {
  return flag.replaceAll('-', '_');
}

const NUMBERS: Readonly<Record<NumberKind, (setting: NumberSetting) => z.ZodType>> = {
  count: ({ range, default: byDefault }) => z.number().int().min(range.min).max(range.max).default(byDefault),
  memory: ({ range, default: byDefault }) => sizeSchema(MIB, range.min * MIB, range.max * MIB).default(byDefault * MIB),
  disk: ({ range, default: byDefault }) => sizeSchema(1, range.min, range.max).default(byDefault),
};

function schemaOf(setting: Setting): z.ZodType {
  return setting.kind === 'switch' ? z.boolean().default(setting.default ?? false) : NUMBERS[setting.kind](setting);
}

/** @returns the schema of each key */
export function defaultSchemas() {
  return Object.fromEntries(allSettings().map(([, setting]) => [keyOf(setting), schemaOf(setting)])) as {
    [Key in keyof SettingDefaults]: z.ZodDefault<z.ZodType<SettingDefaults[Key]>>;
  };
}

/** @returns the spec of a VM with default settings. A switch that may stay unset stays unset if the configuration says "no". */
export function defaultSpecOf(defaults: SettingDefaults): VmSpec {
  const values: Readonly<Record<string, unknown>> = defaults;
  const entries = allSettings().map(([member, setting]) => [member, specValue(setting, values[keyOf(setting)])] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as VmSpec;
}

function specValue(setting: Setting, value: unknown): unknown {
  if (setting.kind === 'memory') return Math.floor(Number(value) / MIB);
  return setting.default === null && value === false ? undefined : value;
}
