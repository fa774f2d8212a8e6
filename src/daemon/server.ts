import type { Socket } from 'node:net';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { z } from 'zod';
import { describeApi } from '../api/openapi.ts';
import type { RouteGroup } from '../api/route.ts';
import { ROUTE_GROUPS } from '../api/routes.ts';
import { BangerError, ERROR_CODES, type ErrorBody, type ErrorCode, SCHEMA_REMEDY, toErrorBody } from '../model/errors.ts';
import { createAttachments } from './attachments.ts';
import type { ServedRoutes } from './handlers.ts';
import { parseInput } from './input.ts';
import { bundleHandlers } from './routes/bundle.ts';
import { type BuildId, daemonHandlers } from './routes/daemon.ts';
import { guestHandlers } from './routes/guest.ts';
import { imageHandlers } from './routes/images.ts';
import { operationHandlers } from './routes/operations.ts';
import { vmHandlers } from './routes/vms.ts';
import { serveRoutes } from './serve.ts';
import type { DaemonServices } from './services.ts';
import { endWithError, handleUpgrades } from './upgrade.ts';

export type Server = FastifyInstance;

/** The names of a request's parts in messages. */
const PARTS: Readonly<Record<string, string>> = { body: 'the body', querystring: 'the query', params: 'the path' };

export type ServerOptions = {
  /** Routes besides those of the API. */
  more?: readonly (RouteGroup & ServedRoutes)[];
  /** Gets each error that a route returned without declaring it. */
  onUndeclared?: (route: string, code: ErrorCode) => void;
};

const settingsOf = (build: BuildId) => ({
  forceCloseConnections: true,
  exposeHeadRoutes: false,
  // A socket file has no host name.
  http: { requireHostHeader: false },
  routerOptions: { maxParamLength: 200 },
  frameworkErrors: (error: FastifyError, _request: unknown, reply: FastifyReply) =>
    void sendError(reply.header('banger-build', build.id), explain(error)),
  clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
    endWithError(socket, build.id, { code: 'INVALID_INPUT', message: 'the request is not valid HTTP' });
  },
});

/**
 * Builds the API server; the caller makes it listen.
 * @param build id of this build, sent with every reply, so that a CLI of another build notices
 */
export async function createServer(services: DaemonServices, build: BuildId, options: ServerOptions = {}): Promise<Server> {
  const { more = [], onUndeclared = () => undefined } = options;
  const judge = (code: ErrorCode, name: string, errors: ReadonlySet<ErrorCode>): void => {
    // A client that disconnected gets no reply.
    if (code !== 'CANCELLED' && !errors.has(code)) onUndeclared(name, code);
  };
  const server = Fastify(settingsOf(build));
  readAndWrite(server);
  server.addHook('onRequest', (_request, reply, done) => {
    reply.header('banger-build', build.id);
    done();
  });
  server.setErrorHandler((error, request, reply) => {
    const { config, bodyLimit } = request.routeOptions;
    const body = explain(error as FastifyError, bodyLimit);
    if (config.declared !== undefined) judge(body.code, config.declared.name, config.declared.errors);
    return sendError(reply, body);
  });
  server.setNotFoundHandler((request, reply) =>
    sendError(reply, {
      code: 'NOT_FOUND',
      message: `there is no ${request.method} ${request.url.slice(0, 200)}`,
      remedy: SCHEMA_REMEDY,
    }),
  );
  const attachments = createAttachments(services.operations);
  const sets = [...handlersOf(services, build, attachments), ...more];
  for (const set of sets) await serveRoutes(server, set, attachments);
  server.get('/openapi.json', () => describeApi([...ROUTE_GROUPS, ...more], build.version));
  handleUpgrades(server.server, sets, { buildId: build.id, onRefusal: judge });
  await server.ready();
  return server;
}

function handlersOf(services: DaemonServices, build: BuildId, attachments: ReturnType<typeof createAttachments>): ServedRoutes[] {
  return [
    vmHandlers(services),
    guestHandlers(services),
    operationHandlers(services, attachments),
    imageHandlers(services),
    bundleHandlers(services),
    daemonHandlers(services, build),
  ];
}

/** Requests and replies are validated by the schemas of the declarations. */
function readAndWrite(server: Server): void {
  server.setValidatorCompiler(({ schema, httpPart }) => (data) => ({
    value: parseInput(schema as z.ZodType, data, PARTS[httpPart ?? ''] ?? 'the request'),
  }));
  server.setSerializerCompiler(({ schema, method, url }) => (data) => {
    const result = z.safeEncode(schema as z.ZodType, data);
    if (result.success) return JSON.stringify(result.data);
    throw new BangerError('INTERNAL', `${method} ${url} did not answer as declared`, { cause: result.error });
  });
  server.removeContentTypeParser('text/plain');
}

/** Sends an error in the form of all errors. */
export function sendError(reply: FastifyReply, body: ErrorBody): FastifyReply {
  return reply.status(ERROR_CODES[body.code].status).send(body);
}

/** Fastify's codes for a client's mistakes, in banger's words. */
const CLIENT_FAULTS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'the body must be sent as application/json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'the body is not JSON',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'the Content-Type is JSON, but the body is empty',
  FST_ERR_BAD_URL: 'the path has an invalid percent-encoding',
  FST_ERR_MAX_PARAM_LENGTH: 'the path has a part of more than 200 characters',
};

function explain(error: FastifyError, bodyLimit?: number): ErrorBody {
  if (error instanceof BangerError) return toErrorBody(error);
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return { code: 'PAYLOAD_TOO_LARGE', message: `the body is larger than ${bodyLimit} bytes` };
  }
  const isClientFault = error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500;
  if (isClientFault) return { code: 'INVALID_INPUT', message: CLIENT_FAULTS[error.code] ?? error.message.slice(0, 200) };
  return toErrorBody(error);
}
