// Defaults of new VMs in config.toml: a key for each setting.
import { z } from 'zod';
import { textSchema } from '../api/setting-schemas.ts';
import { type AllSettings, allSettings, type Member } from '../model/settings/all.ts';
import type { NumberKind, NumberSetting, Setting, SwitchSetting, Unsaid, ValueOf } from '../model/settings/setting.ts';
import { NEVER } from '../model/settings/text.ts';
import { parseDuration } from '../lib/duration.ts';
import type { VmSpec } from '../model/vm.ts';
import { sizeSchema } from './size-schema.ts';

const MIB = 1024 ** 2;

type KeyOf<Flag extends string> = Flag extends `${infer First}-${infer Rest}` ? `${First}_${KeyOf<Rest>}` : Flag;

type DefaultSchema<One extends Setting> = One extends SwitchSetting
  ? z.ZodDefault<z.ZodType<boolean>>
  : Unsaid<One> extends true
    ? z.ZodOptional<z.ZodType<ValueOf<One>>>
    : z.ZodDefault<z.ZodType<ValueOf<One>>>;
type DefaultSchemas = { [M in Member as KeyOf<AllSettings[M]['flag']>]: DefaultSchema<AllSettings[M]> };
/** Sizes in bytes, durations in seconds. */
export type SettingDefaults = z.output<z.ZodObject<DefaultSchemas>>;

/** @returns the key of [defaults] */
export function keyOf({ flag }: Pick<Setting, 'flag'>): string {
  return flag.replaceAll('-', '_');
}

const NUMBERS: Readonly<Record<NumberKind, (setting: NumberSetting) => z.ZodType>> = {
  count: ({ range }) => z.number().int().min(range.min).max(range.max),
  memory: ({ range }) => sizeSchema(MIB, range.min * MIB, range.max * MIB),
  disk: ({ range }) => sizeSchema(1, range.min, range.max),
  duration: ({ range }) => secondsSchema(range),
};

/** Seconds, from a duration such as "10m". */
function secondsSchema({ min, max }: NumberSetting['range']) {
  return z
    .union([z.string(), z.number()])
    .transform((value) => (value === NEVER ? 0 : (parseDuration(String(value)) ?? Number.NaN) / 1000))
    .pipe(
      z
        .int({ error: `not a duration such as "10m" or "1h30m", nor "${NEVER}"` })
        .min(min)
        .max(max),
    );
}

function schemaOf(setting: Setting): z.ZodType {
  if (setting.kind === 'switch') return z.boolean().default(setting.default ?? false);
  if (setting.kind === 'text') return textSchema(setting).optional();
  const schema = NUMBERS[setting.kind](setting);
  if (setting.default === null) return schema.optional();
  return schema.default(setting.kind === 'memory' ? setting.default * MIB : setting.default);
}

/** @returns the schema of each key */
export function defaultSchemas(): DefaultSchemas {
  return Object.fromEntries(allSettings().map(([, setting]) => [keyOf(setting), schemaOf(setting)])) as DefaultSchemas;
}

/** @returns the spec of a VM with default settings. A switch that may stay unset stays unset if the configuration says "no". */
export function defaultSpecOf(defaults: SettingDefaults): VmSpec {
  const values: Readonly<Record<string, unknown>> = defaults;
  const entries = allSettings().map(([member, setting]) => [member, specValue(setting, values[keyOf(setting)])] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as VmSpec;
}

function specValue(setting: Setting, value: unknown): unknown {
  if (setting.kind === 'memory') return Math.floor(Number(value) / MIB);
  return setting.kind === 'switch' && setting.default === null && value === false ? undefined : value;
}
