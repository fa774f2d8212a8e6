import fastifySwagger from '@fastify/swagger';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { BangerError, ERROR_CODES, type ErrorBody, toErrorBody } from '../model/errors.ts';
import { createAttachments } from './attachments.ts';
import { type BuildId, daemonRoutes } from './routes/daemon.ts';
import { guestFileRoutes } from './routes/guest-files.ts';
import { guestStateRoutes } from './routes/guest-state.ts';
import { logRoutes } from './routes/logs.ts';
import { operationRoutes } from './routes/operations.ts';
import { vmRoutes } from './routes/vms.ts';
import type { DaemonServices } from './services.ts';
import { handleUpgrades } from './upgrade.ts';

export type Server = FastifyInstance;
/** What a route file gets: the server that knows the schemas' types. */
export type TypedServer = ReturnType<typeof typed>;
const typed = (server: FastifyInstance) => server.withTypeProvider<ZodTypeProvider>();

/** Bodies are small; files come as streams, which have no limit. */
const BODY_LIMIT_BYTES = 1024 ** 2;

/**
 * Builds the API; listening is the caller's.
 * @param build id of this build, sent with every reply so that a CLI of another build notices (1.3)
 */
export async function createServer(services: DaemonServices, build: BuildId): Promise<Server> {
  const server = Fastify({ bodyLimit: BODY_LIMIT_BYTES, forceCloseConnections: true, routerOptions: { maxParamLength: 200 } });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.addHook('onRequest', (_request, reply, done) => {
    reply.header('banger-build', build.id);
    done();
  });
  server.setErrorHandler((error, _request, reply) => sendError(reply, explain(error as FastifyError)));
  server.setNotFoundHandler((request, reply) =>
    sendError(reply, {
      code: 'NOT_FOUND',
      message: `there is no ${request.method} ${request.url.slice(0, 200)}`,
      remedy: 'see /openapi.json',
    }),
  );
  // Files pass through untouched; without this the body would be refused or collected in memory.
  server.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  await server.register(fastifySwagger, {
    openapi: { openapi: '3.1.0', info: { title: 'banger', version: build.version, description: 'microVMs on your own computer' } },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  const attachments = createAttachments(services.operations);
  await server.register((scope, _options, done) => {
    const routes = typed(scope);
    daemonRoutes(routes, services, attachments, build);
    vmRoutes(routes, services, attachments);
    operationRoutes(routes, services, attachments);
    guestStateRoutes(routes, services);
    guestFileRoutes(routes, services);
    logRoutes(routes, services);
    done();
  });
  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  handleUpgrades(server.server, services, build.id);
  await server.ready();
  return server;
}

/** Sends an error in the one form that errors have. */
export function sendError(reply: FastifyReply, body: ErrorBody): FastifyReply {
  return reply.status(ERROR_CODES[body.code].status).send(body);
}

function explain(error: FastifyError): ErrorBody {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [first] = error.validation;
    const field = (first?.instancePath ?? '').replace(/^\//, '').replaceAll('/', '.');
    const message = `${field === '' ? (error.validationContext ?? 'body') : field}: ${first?.message ?? 'is not valid'}`;
    return { code: 'INVALID_INPUT', message, details: { field, in: error.validationContext ?? 'body' } };
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return { code: 'PAYLOAD_TOO_LARGE', message: `the body is larger than ${BODY_LIMIT_BYTES} bytes` };
  }
  const isClientFault = error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500;
  if (isClientFault && !(error instanceof BangerError)) return { code: 'INVALID_INPUT', message: error.message };
  return toErrorBody(error);
}
