// Schemas of the settings of a VM, from the declarations that the CLI reads, too.
import { z } from 'zod';
import { LIMITS } from '../model/limits.ts';
import { type AllSettings, allSettings, type Member } from '../model/settings/all.ts';
import type { NumberKind, Setting, TextSetting, Unsaid, ValueOf } from '../model/settings/setting.ts';

type Plain<One extends Setting> = z.ZodType<ValueOf<One>, ValueOf<One>>;
type SchemaOf<One extends Setting> = Unsaid<One> extends true ? z.ZodOptional<Plain<One>> : Plain<One>;

const STEPS: Readonly<Partial<Record<NumberKind, number>>> = { disk: LIMITS.diskStepBytes };

function schemaOf(setting: Setting): z.ZodType {
  const schema =
    setting.kind === 'switch' ? z.boolean() : setting.kind === 'text' ? textSchema(setting) : numberOf(setting.kind, setting.range);
  const optional = setting.default === null ? schema.optional() : schema;
  return setting.meaning === undefined ? optional : optional.describe(setting.meaning);
}

/** @returns the schema of a setting that is text */
export function textSchema({ problemOf }: TextSetting): z.ZodString {
  return z
    .string()
    .max(LIMITS.settingTextLength)
    .superRefine((text, context) => {
      const problem = text === '' ? undefined : problemOf(text);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    });
}

function numberOf(kind: NumberKind, { min, max }: { min: number; max: number }): z.ZodNumber {
  const schema = z.number().int().min(min).max(max);
  const step = STEPS[kind];
  return step === undefined ? schema : schema.multipleOf(step);
}

/** By member of a VM's spec. */
export const SETTING_SCHEMAS = Object.fromEntries(allSettings().map(([member, setting]) => [member, schemaOf(setting)])) as {
  [M in Member]: SchemaOf<AllSettings[M]>;
};
