// Serves declared routes: validates requests by the declaration, and replies as it says.
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Operation } from '../api/schemas.ts';
import { DEFAULT_BODY_BYTES, errorsOf, paramsOf, type Reply, type Route, splitName } from '../api/route.ts';
import { BangerError, type ErrorCode } from '../model/errors.ts';
import type { OperationRecord } from '../model/operation.ts';
import type { Attachments } from './attachments.ts';
import { type AnyHandler, type BytesClient, JsonText, type ServedRoutes, type Upload } from './handlers.ts';
import { clientSignal } from './request-signal.ts';
import { operationView } from './views.ts';
import { given } from '../lib/given.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The declared route of this request, and its error codes. */
    declared?: { name: string; errors: ReadonlySet<ErrorCode> };
  }
}

/** Registers every route of the set with the server. */
export async function serveRoutes(server: FastifyInstance, set: ServedRoutes, attachments: Attachments): Promise<void> {
  const all = Object.entries(set.routes).map(([name, route]) => ({ name, route, handle: set.handlers[name] as AnyHandler }));
  for (const one of all.filter(({ route }) => route.upload === undefined)) serveRoute(server, one, attachments);
  await server.register((scope, _options, done) => {
    // Files pass through untouched; by default Fastify would refuse the body or collect it in memory.
    scope.addContentTypeParser('application/octet-stream', (_request, payload, ready) => ready(null, payload));
    for (const one of all.filter(({ route }) => route.upload !== undefined)) serveRoute(scope, one, attachments);
    done();
  });
}

type One = { name: string; route: Route; handle: AnyHandler };

function serveRoute(server: FastifyInstance, { name, route, handle }: One, attachments: Attachments): void {
  const { method, path } = splitName(name);
  const params = paramsOf(path);
  const { reply: answer } = route;
  server.route({
    method,
    url: path,
    bodyLimit: route.maxBodyBytes ?? DEFAULT_BODY_BYTES,
    config: { declared: { name, errors: new Set(errorsOf(name, route)) } },
    schema: {
      ...given({ params }),
      // An unknown query parameter is refused, like an unknown member of a body.
      querystring: route.query ?? z.strictObject({}),
      ...given({ body: route.body }),
      ...('schema' in answer && answer.kind !== 'lines' ? { response: { [answer.status]: answer.schema } } : {}),
    },
    handler: (request, reply) => {
      if (answer.kind === 'frames') throw leavesHttp(path);
      const body = route.upload === undefined ? request.body : uploadOf(request);
      const answered = handle({ params: request.params as object, query: request.query, body }, clientOf(reply, answer));
      const finish = (result: unknown): unknown => answerOf(route, attachments, { request, reply, result });
      // Most handlers reply at once, and need not wait for the next tick.
      return answered instanceof Promise ? answered.then(finish) : finish(answered);
    },
  });
}

function clientOf(reply: FastifyReply, answer: Reply): BytesClient {
  const declared = answer.kind === 'bytes' ? answer.mediaType : '';
  return {
    get signal() {
      return clientSignal(reply);
    },
    onClose: (callback) => void reply.raw.once('close', callback),
    async send({ content, mediaType = declared, headers = {} }) {
      await reply.type(mediaType).headers(headers).send(content);
    },
  };
}

function answerOf(
  { reply: answer }: Route,
  attachments: Attachments,
  { request, reply, result }: { request: FastifyRequest; reply: FastifyReply; result: unknown },
): unknown {
  reply.status(answer.status);
  switch (answer.kind) {
    case 'operation':
      return accept(attachments, request, result as OperationRecord);
    case 'json':
      return result instanceof JsonText ? reply.type('application/json').send(result.text) : result;
    case 'lines':
      return reply.type('application/x-ndjson').send(Readable.from(encodeLines(result as AsyncIterable<unknown>)));
    case 'nothing':
      return reply.send();
    case 'bytes':
    case 'frames':
      return reply;
  }
}

/** Ties the operation to the client if the client asks for it. */
function accept(attachments: Attachments, request: FastifyRequest, operation: OperationRecord): Operation {
  if (request.headers['banger-attach'] === '1') attachments.attach(operation.id);
  return operationView(operation);
}

async function* encodeLines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield `${JSON.stringify(value)}\n`;
}

function uploadOf({ body, headers }: FastifyRequest): Upload {
  const sizeBytes = Number(headers['content-length']);
  if (body instanceof Readable && Number.isSafeInteger(sizeBytes)) return { content: body, sizeBytes };
  throw new BangerError('INVALID_INPUT', 'a file is sent as application/octet-stream with a Content-Length');
}

/** For requests without an upgrade. */
function leavesHttp(path: string): BangerError {
  const verb = path.slice(path.lastIndexOf('/') + 1);
  return new BangerError('INVALID_INPUT', `${verb} leaves HTTP: send "Connection: Upgrade" and "Upgrade: banger-frames"`);
}
