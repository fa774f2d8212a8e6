import facts from './api-facts.json' with { type: 'json' };
import type { ApiBody, ApiFacts, FieldType } from './swagger.ts';

/** The published API of the version that the tests know. */
export const API_FACTS: ApiFacts = facts;

export type RawRequest = { method: string; path: string; body?: string };
/** `name` is the entry in the facts, e.g. `PUT /drives/{drive_id}`. */
export type Parsed = { name: string; id: string | undefined; body: Record<string, unknown> };

/**
 * Checks a request against the published facts and against rules that the description omits: ids, and which fields a
 * partial machine configuration may lack.
 * @returns the parsed request, or its fault
 */
export function parseRequest(request: RawRequest, table: ApiFacts = API_FACTS): Parsed | { fault: string } {
  const { method, path, body } = request;
  const found = findEntry(table, method, path);
  const hasBody = body !== undefined && body !== '';
  if (method === 'GET' && hasBody) return { fault: 'a GET request has no body' };
  if ((method === 'PUT' || method === 'PATCH') && !hasBody) return { fault: `an empty ${method} request` };
  if (found === undefined) return { fault: `no such method and path: ${method} ${path}` };
  const { name, id } = found;
  if (id !== undefined && !/^[\p{L}\p{N}_]+$/u.test(id)) return { fault: 'ids are made of letters, digits and underscores' };
  const bodyName = table.requests[name]?.body;
  if (bodyName === undefined) return { name, id, body: {} };
  const value = parseJson(body ?? '');
  const isPartial = name === 'PATCH /machine-config';
  const fault = bodyName === 'any' ? undefined : checkBody(table, bodyName, value, isPartial);
  if (value === undefined || fault !== undefined) return { fault: fault ?? 'the body is not JSON' };
  const parsed = value as Record<string, unknown>;
  const idField = /\{(\w+)\}/.exec(name)?.[1];
  if (idField !== undefined && parsed[idField] !== id) return { fault: 'the ids of path and body differ' };
  return { name, id, body: parsed };
}

function findEntry(table: ApiFacts, method: string, path: string): { name: string; id: string | undefined } | undefined {
  for (const name of Object.keys(table.requests)) {
    const [entryMethod, entryPath = ''] = name.split(' ');
    if (entryMethod !== method) continue;
    if (entryPath === path) return { name, id: undefined };
    const prefix = /^(.*\/)\{\w+\}$/.exec(entryPath)?.[1];
    if (prefix !== undefined && path.startsWith(prefix) && path.length > prefix.length) return { name, id: path.slice(prefix.length) };
  }
  return undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checkBody(table: ApiFacts, name: string, value: unknown, isPartial = false): string | undefined {
  const rules: ApiBody | undefined = table.bodies[name];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${name} is an object`;
  if (rules === undefined || Object.keys(rules.fields).length === 0) return undefined;
  const missing = isPartial ? undefined : rules.required.find((field) => !Object.hasOwn(value, field));
  if (missing !== undefined) return `${name} lacks ${missing}`;
  for (const [field, given] of Object.entries(value)) {
    const type = rules.fields[field];
    if (type === undefined) return `${name} has no field ${field}`;
    const fault = checkField(table, type, given);
    if (fault !== undefined) return `${field} of ${name}: ${fault}`;
  }
  return undefined;
}

function checkField(table: ApiFacts, type: FieldType, value: unknown): string | undefined {
  if (Array.isArray(type)) return typeof value === 'string' && type.includes(value) ? undefined : `one of ${type.join(', ')}`;
  if (type.startsWith('#')) return checkBody(table, type.slice(1), value);
  if (type === 'integer') return Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : 'a whole number';
  if (type === 'array') return Array.isArray(value) ? undefined : 'a list';
  return typeof value === type ? undefined : `a ${type}`;
}
