import { z } from 'zod';
import { bundleStatusSchema, daemonStatusSchema, imageSchema, operationSchema, statsSchema, verdictSchema } from '../../api/schemas.ts';
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

  server.get('/v1/doctor', { schema: { response: { 200: z.array(verdictSchema) } } }, (_request, reply) =>
    services.doctor(clientSignal(reply)),
  );

  server.get('/v1/images', { schema: { response: { 200: z.array(imageSchema) } } }, () =>
    services.images.list().map((image) => imageView(image, services.defaultImageName)),
  );

  server.get('/v1/bundle', { schema: { response: { 200: bundleStatusSchema } } }, () => services.bundleStatus());

  const buildBody = z.strictObject({ force: z.boolean().optional() }).nullish();
  server.post('/v1/bundle/build', { schema: { body: buildBody, response: { 202: operationSchema } } }, (request, reply) => {
    const operation = services.buildBundle({ force: request.body?.force ?? false });
    if (request.headers['banger-attach'] === '1') attachments.attach(operation.id);
    reply.status(202);
    return operationView(operation);
  });
}
