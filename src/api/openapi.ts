// The API as OpenAPI 3.1, from the declarations of its routes.
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../model/errors.ts';
import { errorsOf, paramsOf, type Reply, type Route, type RouteGroup, splitName } from './route.ts';
import { errorSchema } from './schemas.ts';
import { given } from '../lib/given.ts';

type Json = Record<string, unknown>;
type Components = { schemas: Record<string, Json>; responses: Record<string, Json> };
export type OpenApi = { openapi: string; info: Json; components: Components; paths: Record<string, Record<string, Json>> };

/** @param version of banger @returns the document, with every schema that it refers to and no other */
export function describeApi(groups: readonly RouteGroup[], version: string): OpenApi {
  const components: Components = { schemas: {}, responses: {} };
  const paths: OpenApi['paths'] = {};
  for (const { title, routes } of groups) {
    for (const [name, route] of Object.entries(routes)) {
      const { method, path } = splitName(name);
      const template = path.replaceAll(/\/:(\w+)/g, '/{$1}');
      paths[template] = { ...paths[template], [method.toLowerCase()]: describeRoute(components, { name, route, tag: title }) };
    }
  }
  return { openapi: '3.1.0', info: { title: 'banger', version, description: 'microVMs on your own computer' }, components, paths };
}

function describeRoute(components: Components, { name, route, tag }: { name: string; route: Route; tag: string }): Json {
  const parameters = [
    ...parametersOf(components, route.query, 'query'),
    ...parametersOf(components, paramsOf(splitName(name).path), 'path'),
  ];
  const body = bodyOf(components, route);
  return {
    summary: route.does,
    tags: [tag],
    ...given({ requestBody: body }),
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: {
      [route.reply.status]: describeReply(components, route.reply),
      ...refusals(components, errorsOf(name, route)),
      default: errorResponse(components, 'the error'),
    },
  };
}

function parametersOf(components: Components, schema: z.ZodObject | undefined, place: 'query' | 'path'): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, member]) => {
    const { description, ...rest } = jsonSchema(components, member as z.ZodType, 'input');
    return { schema: rest, ...given({ description }), in: place, name, required: !mayBeAbsent(member) };
  });
}

function bodyOf(components: Components, { body, upload }: Route): Json | undefined {
  if (upload !== undefined) {
    const content = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
    return { description: upload, required: true, content };
  }
  if (body === undefined) return undefined;
  return { required: !mayBeAbsent(body), content: { 'application/json': { schema: jsonSchema(components, body, 'input') } } };
}

const mayBeAbsent = (schema: unknown): boolean => (schema as z.ZodType).safeParse(undefined).success;

function describeReply(components: Components, reply: Reply): Json {
  const content = (mediaType: string, schema: Json): Json => ({ content: { [mediaType]: { schema } } });
  switch (reply.kind) {
    case 'json':
      return { description: 'the result', ...content('application/json', jsonSchema(components, reply.schema, 'output')) };
    case 'operation':
      return {
        description: 'the operation, which goes on',
        ...content('application/json', jsonSchema(components, reply.schema, 'output')),
      };
    case 'lines':
      return { description: reply.what, ...content('application/x-ndjson', jsonSchema(components, reply.schema, 'output')) };
    case 'bytes': {
      const format = reply.mediaType.startsWith('text/') ? {} : { format: 'binary' };
      return { description: reply.what, ...content(reply.mediaType, { type: 'string', ...format }) };
    }
    case 'nothing':
      return { description: 'it is done' };
    case 'frames':
      return { description: reply.what };
  }
}

/** One response for each status; routes that fail with the same codes share it. */
function refusals(components: Components, codes: readonly ErrorCode[]): Json {
  const byStatus = Map.groupBy(codes, (code) => ERROR_CODES[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => {
      const name = ofStatus.join('.');
      components.responses[name] ??= errorResponse(components, ofStatus.join(' or '), ofStatus);
      return [status, { $ref: `#/components/responses/${name}` }];
    }),
  );
}

function errorResponse(components: Components, description: string, codes?: readonly ErrorCode[]): Json {
  const error = jsonSchema(components, errorSchema, 'output');
  const schema = codes === undefined ? error : { ...error, properties: { code: { enum: codes } } };
  return { description, content: { 'application/json': { schema } } };
}

/**
 * @param io an input may lack members that the output always has, because they have a default; each form is a component of its own
 * @returns the schema as JSON Schema; a schema with an id becomes a component, and others refer to it
 */
function jsonSchema(components: Components, schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, $defs = {}, ...made } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  const componentName = (id: string): string => (io === 'input' ? `${id}Input` : id);
  const place = (part: unknown): Json =>
    JSON.parse(
      JSON.stringify(part).replaceAll(
        /"\$ref":"#\/\$defs\/(\w+)"/g,
        (_whole, id: string) => `"$ref":"#/components/schemas/${componentName(id)}"`,
      ),
    ) as Json;
  for (const [id, definition] of Object.entries($defs)) components.schemas[componentName(id)] ??= place(definition);
  return place(made);
}
