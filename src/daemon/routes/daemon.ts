import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  bundleStatusSchema,
  daemonStatusSchema,
  doctorReportSchema,
  imageSchema,
  operationSchema,
  statsSchema,
} from '../../api/schemas.ts';
import { BangerError } from '../../model/errors.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { Attachments } from '../attachments.ts';
import { clientSignal } from '../request-signal.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';
import { imageView, operationView } from '../views.ts';

export type BuildId = { id: string; version: string };

/** The daemon itself, the bundle, the images and the checks of this host. */
export function daemonRoutes(server: TypedServer, services: DaemonServices, attachments: Attachments, build: BuildId): void {
  server.get('/v1/daemon', { schema: { response: { 200: daemonStatusSchema } } }, () => services.status());

  const buildSchema = z.strictObject({ build: z.string(), version: z.string() });
  server.get('/v1/daemon/build', { schema: { response: { 200: buildSchema } } }, () => ({ build: build.id, version: build.version }));

  server.post('/v1/daemon/shutdown', { schema: { response: { 202: z.strictObject({ pid: z.number() }) } } }, (_request, reply) => {
    services.requestShutdown();
    reply.status(202);
    return { pid: process.pid };
  });

  server.get('/v1/stats', { schema: { response: { 200: statsSchema } } }, () => services.stats());

  server.get('/v1/doctor', { schema: { response: { 200: doctorReportSchema } } }, (_request, reply) =>
    services.doctor(clientSignal(reply)),
  );

  server.get('/v1/images', { schema: { response: { 200: z.array(imageSchema) } } }, () =>
    services.images.list().map((image) => imageView(image, services.defaultImageName)),
  );

  server.get('/v1/bundle', { schema: { response: { 200: bundleStatusSchema } } }, () => services.bundleStatus());

  const programPath = z.string().startsWith('/').max(4096);
  const buildBody = z
    .strictObject({
      force: z.boolean().optional(),
      firecracker: programPath.optional().describe('program to copy into the bundle'),
      jailer: programPath.optional().describe('of the same release; only with firecracker'),
    })
    .nullish();
  server.post('/v1/bundle/build', { schema: { body: buildBody, response: { 202: operationSchema } } }, (request, reply) => {
    const { force = false, firecracker, jailer } = request.body ?? {};
    if (firecracker === undefined && jailer !== undefined) throw new BangerError('INVALID_INPUT', 'jailer goes only with firecracker');
    const programs = firecracker === undefined ? {} : { programs: { firecracker, ...(jailer === undefined ? {} : { jailer }) } };
    return begun(request, reply, services.buildBundle({ force, ...programs }));
  });

  const fetchBody = z.strictObject({
    program: z.literal('firecracker'),
    url: z
      .url({ protocol: /^(https?|file)$/ })
      .max(4096)
      .optional()
      .describe('release archive; default: the pinned one'),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional()
      .describe('of that archive'),
  });
  server.post('/v1/bundle/fetch', { schema: { body: fetchBody, response: { 202: operationSchema } } }, (request, reply) => {
    const { url, sha256 } = request.body;
    if ((url === undefined) !== (sha256 === undefined)) {
      throw new BangerError('INVALID_INPUT', 'url and sha256 go together: what is fetched from elsewhere must be known', {
        remedy: 'take the checksum that is published with the archive',
      });
    }
    return begun(request, reply, services.fetchFirecracker(url === undefined || sha256 === undefined ? undefined : { url, sha256 }));
  });

  function begun(request: FastifyRequest, reply: FastifyReply, operation: OperationRecord): ReturnType<typeof operationView> {
    if (request.headers['banger-attach'] === '1') attachments.attach(operation.id);
    reply.status(202);
    return operationView(operation);
  }
}
