// Reads Firecracker's published description of its API into facts: paths, bodies, fields. Texts are omitted.

/** `string`, `integer`, `boolean`, `array`, `object`; a list of allowed words; or the name of another body after `#`. */
export type FieldType = string | string[];

export type ApiBody = { required: string[]; fields: Record<string, FieldType> };

/** Requests by method and path, e.g. `PUT /drives/{drive_id}`; `body` names one of `bodies`, `any` is any JSON. */
export type ApiFacts = { version: string; requests: Record<string, { success: number; body?: string }>; bodies: Record<string, ApiBody> };

type Node = { [key: string]: Node } | Node[] | string;

/** @param yaml text of a swagger 2.0 document in block style */
export function readSwagger(yaml: string): ApiFacts {
  const document = asMap(parseBlock(linesOf(yaml)));
  const definitions = asMap(document['definitions']);
  const requests: ApiFacts['requests'] = {};
  const wanted: string[] = [];
  for (const [path, methods] of Object.entries(asMap(document['paths']))) {
    for (const [method, operation] of Object.entries(asMap(methods))) {
      if (method === 'parameters') continue;
      const success = Object.keys(asMap(asMap(operation)['responses'])).find((status) => status.startsWith('2'));
      const body = bodyOf(asMap(operation));
      if (body !== undefined && body !== 'any') wanted.push(body);
      requests[`${method.toUpperCase()} ${path}`] = { success: Number(success), ...(body === undefined ? {} : { body }) };
    }
  }
  const bodies: ApiFacts['bodies'] = {};
  for (let name = wanted.shift(); name !== undefined; name = wanted.shift()) {
    if (bodies[name] !== undefined) continue;
    const body = readBody(asMap(definitions[name]), definitions);
    bodies[name] = body;
    for (const type of Object.values(body.fields)) if (typeof type === 'string' && type.startsWith('#')) wanted.push(type.slice(1));
  }
  return { version: asText(asMap(document['info'])['version']), requests: sorted(requests), bodies: sorted(bodies) };
}

const sorted = <T>(map: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));

function bodyOf(operation: Record<string, Node>): string | undefined {
  const parameters = Array.isArray(operation['parameters']) ? operation['parameters'].map(asMap) : [];
  const body = parameters.find((parameter) => parameter['in'] === 'body');
  return body === undefined ? undefined : (referenceOf(asMap(body['schema'])) ?? 'any');
}

const referenceOf = (schema: Record<string, Node>): string | undefined =>
  typeof schema['$ref'] === 'string' ? schema['$ref'].slice('#/definitions/'.length) : undefined;

/** A body without listed members accepts any. */
function readBody(schema: Record<string, Node>, definitions: Record<string, Node>): ApiBody {
  const required = Array.isArray(schema['required']) ? schema['required'].map(String).toSorted() : [];
  const fields = Object.entries(asMap(schema['properties'])).map(([name, field]) => [name, fieldType(asMap(field), definitions)] as const);
  return { required, fields: sorted(Object.fromEntries(fields)) };
}

function fieldType(field: Record<string, Node>, definitions: Record<string, Node>): FieldType {
  const reference = referenceOf(field);
  const type = reference === undefined ? field : asMap(definitions[reference]);
  if (Array.isArray(type['enum'])) return type['enum'].map(String);
  return reference === undefined ? asText(type['type']) : `#${reference}`;
}

const asMap = (node: Node | undefined): Record<string, Node> => (typeof node === 'object' && !Array.isArray(node) ? node : {});

const asText = (node: Node | undefined): string => (typeof node === 'string' ? node : '');

type Line = { indent: number; text: string };

function linesOf(yaml: string): Line[] {
  const lines = yaml.split('\n').filter((line) => /^\s*[^\s#]/.test(line));
  // `- name: x` is a list item that contains a map with deeper indentation.
  return lines.flatMap((line) => {
    const [, spaces = '', dash, text = ''] = /^(\s*)(- )?(.*?)\s*$/.exec(line) ?? [];
    if (dash === undefined) return [{ indent: spaces.length, text }];
    return [
      { indent: spaces.length, text: '-' },
      { indent: spaces.length + 2, text },
    ];
  });
}

/** Takes the lines of one block from the front of `lines`; lines that are neither key nor item continue a description. */
function parseBlock(lines: Line[]): Node {
  const indent = lines[0]?.indent ?? 0;
  const isList = lines[0]?.text === '-';
  const items: Node[] = [];
  const map: Record<string, Node> = {};
  let scalar: string | undefined;
  for (let line = lines[0]; line !== undefined && line.indent >= indent; line = lines[0]) {
    // A list may have the same indentation as its key; the next key ends it.
    if (isList && line.indent === indent && line.text !== '-') break;
    lines.shift();
    if (line.indent > indent) continue;
    const [, key, value = ''] = /^"?([^\s":]+|\/[^":]*)"?:(?:\s+(.*))?$/.exec(line.text) ?? [];
    if (line.text === '-') items.push(parseBlock(lines));
    else if (key === undefined) scalar ??= unquote(line.text);
    else if (value !== '') map[key] = parseScalar(value);
    else map[key] = isBlockBelow(lines, line) ? parseBlock(lines) : '';
  }
  if (isList) return items;
  return scalar !== undefined && Object.keys(map).length === 0 ? scalar : map;
}

const isBlockBelow = ([next]: Line[], line: Line): boolean =>
  next !== undefined && (next.indent > line.indent || (next.indent === line.indent && next.text === '-'));

const unquote = (text: string): string => text.replace(/^(["'])(.*)\1$/, '$2');

function parseScalar(text: string): Node {
  const list = /^\[(.*)\]$/.exec(text)?.[1];
  return list === undefined ? unquote(text) : list.split(',').map((word) => unquote(word.trim()));
}
