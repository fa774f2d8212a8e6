// YAML 1.2 of plain data, in block style. Every line also means the same to a YAML 1.1 reader, as most are. Implemented here, because only
// writing is needed: yaml 2.9 adds 112 kB to a CLI of 240 kB.
import { toJson } from './terminal-text.ts';

/** The values of JSON. */
export type Plain = string | number | boolean | null | undefined | readonly Plain[] | { readonly [key: string]: Plain };

/** Words that some reader takes for a boolean or null (yaml.org/type/bool, the core schema of YAML 1.2). */
const RESERVED = /^(y|n|yes|no|on|off|true|false|null)$/i;
/** Does not begin like a number, date or indicator, and contains nothing that ends a scalar. */
const BARE = /^[A-Za-z_/](?:[A-Za-z0-9_ ./@+-]*[A-Za-z0-9_./@+-])?$/;

/**
 * @param value plain data; undefined members are left out, as JSON.stringify does
 * @returns lines without a final line end
 */
export function toYaml(value: Plain): string {
  return linesOf(value).join('\n');
}

function linesOf(value: Plain): string[] {
  if (Array.isArray(value)) return value.length === 0 ? ['[]'] : (value as readonly Plain[]).flatMap((item) => itemLines(item));
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter((member) => member[1] !== undefined);
    return members.length === 0 ? ['{}'] : members.flatMap(([key, member]) => memberLines(scalar(key), member));
  }
  return [scalar(value ?? null)];
}

function itemLines(item: Plain): string[] {
  const [first = '', ...rest] = linesOf(item);
  return [`- ${first}`, ...rest.map((line) => `  ${line}`)];
}

function memberLines(key: string, value: Plain): string[] {
  const lines = linesOf(value);
  const isNested = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
  return isNested ? [`${key}:`, ...lines.map((line) => `  ${line}`)] : [`${key}: ${lines[0] ?? ''}`];
}

function scalar(value: string | number | boolean | null | object): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  if (BARE.test(value) && !RESERVED.test(value)) return value;
  // A double-quoted scalar supports all escapes of JSON; these characters are not printable in YAML, or control terminals.
  return toJson(value).replace(/[\ufffe\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`);
}
