import type { Socket } from 'node:net';
import fastifySwagger from '@fastify/swagger';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject, serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { BangerError, ERROR_CODES, type ErrorBody, toErrorBody, SCHEMA_REMEDY } from '../model/errors.ts';
import { createAttachments } from './attachments.ts';
import { parseInput } from './input.ts';
import { describeApi } from './openapi.ts';
import { bundleRoutes } from './routes/bundle.ts';
import { type BuildId, daemonRoutes } from './routes/daemon.ts';
import { guestFileRoutes } from './routes/guest-files.ts';
import { guestStateRoutes } from './routes/guest-state.ts';
import { imageRoutes } from './routes/images.ts';
import { logRoutes } from './routes/logs.ts';
import { operationRoutes } from './routes/operations.ts';
import { portRoutes } from './routes/ports.ts';
import { vmRoutes } from './routes/vms.ts';
import type { DaemonServices } from './services.ts';
import { endWithError, handleUpgrades, upgradeRoutes } from './upgrade.ts';

export type Server = FastifyInstance;
/** What a route file gets: the server that knows the schemas' types. */
export type TypedServer = ReturnType<typeof typed>;
const typed = (server: FastifyInstance) => server.withTypeProvider<ZodTypeProvider>();

/** Bodies are small; files come as streams, which have no limit. */
const BODY_LIMIT_BYTES = 1024 ** 2;

/** How messages call the parts of a request. */
const PARTS: Readonly<Record<string, string>> = { body: 'the body', querystring: 'the query', params: 'the path' };

const settingsOf = (build: { id: string }) => ({
  bodyLimit: BODY_LIMIT_BYTES,
  forceCloseConnections: true,
  exposeHeadRoutes: false,
  // A socket file has no host name.
  http: { requireHostHeader: false },
  routerOptions: { maxParamLength: 200 },
  frameworkErrors: (error: FastifyError, _request: unknown, reply: FastifyReply) =>
    void sendError(reply.header('banger-build', build.id), explain(error)),
  clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
    endWithError(socket, build.id, { code: 'INVALID_INPUT', message: 'what came is not an HTTP request that can be understood' });
  },
});

/**
 * Builds the API; listening is the caller's.
 * @param build id of this build, sent with every reply so that a CLI of another build notices (1.3)
 */
export async function createServer(services: DaemonServices, build: BuildId): Promise<Server> {
  const server = Fastify(settingsOf(build));
  server.setValidatorCompiler(({ schema, httpPart }) => (data) => ({
    value: parseInput(schema as z.ZodType, data, PARTS[httpPart ?? ''] ?? 'the request'),
  }));
  server.setSerializerCompiler(serializerCompiler);
  server.addHook('onRequest', (_request, reply, done) => {
    reply.header('banger-build', build.id);
    done();
  });
  server.addHook('onRoute', ({ schema }) => {
    // What is asked for in vain is refused, here as in bodies.
    if (schema !== undefined && schema.hide !== true) schema.querystring ??= z.strictObject({});
  });
  server.setErrorHandler((error, _request, reply) => sendError(reply, explain(error as FastifyError)));
  server.setNotFoundHandler((request, reply) =>
    sendError(reply, {
      code: 'NOT_FOUND',
      message: `there is no ${request.method} ${request.url.slice(0, 200)}`,
      remedy: SCHEMA_REMEDY,
    }),
  );
  server.removeContentTypeParser('text/plain');
  await server.register(fastifySwagger, {
    openapi: { openapi: '3.1.0', info: { title: 'banger', version: build.version, description: 'microVMs on your own computer' } },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  const attachments = createAttachments(services.operations);
  await server.register((scope, _options, done) => {
    const routes = typed(scope);
    daemonRoutes(routes, services, build);
    bundleRoutes(routes, services, attachments);
    vmRoutes(routes, services, attachments);
    imageRoutes(routes, services, attachments);
    operationRoutes(routes, services, attachments);
    guestStateRoutes(routes, services);
    portRoutes(routes, services);
    logRoutes(routes, services);
    upgradeRoutes(routes);
    done();
  });
  await server.register((scope, _options, done) => {
    // Files pass through untouched; without this the body would be refused or collected in memory.
    scope.addContentTypeParser('application/octet-stream', (_request, payload, ready) => ready(null, payload));
    guestFileRoutes(typed(scope), services);
    done();
  });
  server.get('/openapi.json', { schema: { hide: true } }, () => describeApi(server));
  handleUpgrades(server.server, services, build.id);
  await server.ready();
  return server;
}

/** Sends an error in the one form that errors have. */
export function sendError(reply: FastifyReply, body: ErrorBody): FastifyReply {
  return reply.status(ERROR_CODES[body.code].status).send(body);
}

/** Fastify's codes for what a client did wrong, in our words. */
const CLIENT_FAULTS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'the body must be sent as application/json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'the body is not JSON',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'the body is announced as JSON, and is empty',
  FST_ERR_BAD_URL: 'the path has a % that begins no encoded character',
  FST_ERR_MAX_PARAM_LENGTH: 'the path has a part of more than 200 characters',
};

function explain(error: FastifyError): ErrorBody {
  if (error instanceof BangerError) return toErrorBody(error);
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return { code: 'PAYLOAD_TOO_LARGE', message: `the body is larger than ${BODY_LIMIT_BYTES} bytes` };
  }
  const isClientFault = error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500;
  if (isClientFault) return { code: 'INVALID_INPUT', message: CLIENT_FAULTS[error.code] ?? error.message.slice(0, 200) };
  return toErrorBody(error);
}
