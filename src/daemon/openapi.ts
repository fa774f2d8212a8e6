import type { FastifyInstance } from 'fastify';

type Operation = { responses: Record<string, unknown> };
type Document = { paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, unknown> } };

const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });

/** What routes answer that is no JSON, which the routes' schemas cannot say. */
const STREAMS: Readonly<Record<string, { status: string; type: string; schema: object; description: string }>> = {
  'get /v1/operations/{id}/events': {
    status: '200',
    type: 'application/x-ndjson',
    schema: reference('OperationEvent'),
    description: 'one event a line, from the first on, until `end`',
  },
  'get /metrics': { status: '200', type: 'text/plain', schema: { type: 'string' }, description: 'numbers for Prometheus' },
  'get /v1/vms/{ref}/logs': { status: '200', type: 'text/plain', schema: { type: 'string' }, description: 'the log' },
  'get /v1/vms/{ref}/files': {
    status: '200',
    type: 'application/octet-stream',
    schema: { type: 'string', format: 'binary' },
    description: 'the file; X-Mode and X-Size tell about it',
  },
};

/** @returns the API as OpenAPI 3.1: the routes with their validating schemas, errors and streams, and no unused schema (1.1) */
export function describeApi(server: FastifyInstance): Document {
  const document = structuredClone(server.swagger()) as unknown as Document;
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const stream = STREAMS[`${method} ${path}`];
      if (stream !== undefined) {
        operation.responses = {
          [stream.status]: { description: stream.description, content: { [stream.type]: { schema: stream.schema } } },
        };
      }
      operation.responses['default'] = { description: 'the error', content: { 'application/json': { schema: reference('Error') } } };
    }
  }
  document.components.schemas = reachable(document);
  return document;
}

/** The generator writes every schema twice, as it is sent and as it is answered. */
function reachable({ paths, components }: Document): Record<string, unknown> {
  const used = new Set<string>();
  const visit = (part: unknown): void => {
    for (const [, name = ''] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      visit(components.schemas[name] ?? {});
    }
  };
  visit(paths);
  return Object.fromEntries(Object.entries(components.schemas).filter(([name]) => used.has(name)));
}
