import { z } from 'zod';
import { BangerError, SCHEMA_REMEDY } from '../model/errors.ts';

/**
 * Validates what a client sent.
 * @param where the part of the request: `body`, `query`
 * @throws INVALID_INPUT with the field, what is allowed there, and what came
 */
export function parseInput<Schema extends z.ZodType>(schema: Schema, value: unknown, where: string): z.output<Schema> {
  const result = schema.safeParse(value, { error: requirementOf });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path ?? [];
  const field = path.join('.');
  const found = shown(path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value));
  const isTold = issue?.code === 'unrecognized_keys' || found === undefined;
  const message = `${field === '' ? where : field} ${issue?.message ?? 'is not valid'}${isTold ? '' : `, not ${found}`}`;
  throw new BangerError('INVALID_INPUT', message, { remedy: SCHEMA_REMEDY, details: { field, in: where } });
}

type Issue = Parameters<z.core.$ZodErrorMap>[0];

/** @returns what the value must be, as words after the field's name; undefined to use the schema's own message */
export function requirementOf(issue: Issue): string | undefined {
  const schema = (issue as { schema?: unknown }).schema;
  if (issue.code === 'unrecognized_keys') {
    const allowed = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
    const has = `has no member ${issue.keys.map((key) => shown(key)).join(', ')}`;
    return allowed.length === 0 ? `${has}; it takes none` : `${has}; it may have ${allowed.join(', ')}`;
  }
  const kind = kindOf(issue, schema);
  if (kind === undefined) return undefined;
  return issue.input === undefined ? `is missing; it must be ${kind}` : `must be ${kind}`;
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
};

const UNITS: Readonly<Record<string, string>> = { string: 'characters', array: 'members' };

function kindOf(issue: Issue, schema: unknown): string | undefined {
  if (issue.code === 'not_multiple_of') return `a multiple of ${issue.divisor}`;
  if (schema instanceof z.ZodNumber) return `a whole number from ${schema.minValue} to ${schema.maxValue}`;
  if (issue.code === 'invalid_value') return `one of ${issue.values.join(', ')}`;
  if (issue.code === 'invalid_type') return TYPES[issue.expected];
  const unit = issue.code === 'too_big' || issue.code === 'too_small' ? UNITS[issue.origin] : undefined;
  if (issue.code === 'too_big' && unit !== undefined) return `of at most ${issue.maximum} ${unit}`;
  if (issue.code === 'too_small' && unit !== undefined) return `of at least ${issue.minimum} ${unit}`;
  if (issue.code === 'invalid_format' && issue.format === 'starts_with') return `a string that begins with ${shown(issue['prefix'])}`;
  return undefined;
}

/** @returns the value, shortened for people; undefined if it is not a simple value */
function shown(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'object' && value !== null)) return undefined;
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
