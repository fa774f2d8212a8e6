import { z } from 'zod';
import {
  buildImageSchema,
  imageSchema,
  importImageSchema,
  promoteImageSchema,
  provisionStepSchema,
  pruneImagesSchema,
  registerImageSchema,
} from '../../api/image-schemas.ts';
import { operationSchema } from '../../api/schemas.ts';
import { buildImage } from '../../lifecycle/image/build.ts';
import { importImage } from '../../lifecycle/image/import.ts';
import { promoteImage } from '../../lifecycle/image/promote.ts';
import { registerImage } from '../../lifecycle/image/register.ts';
import { deleteImage, pruneImages } from '../../lifecycle/image/remove.ts';
import type { Image } from '../../model/image.ts';
import { resolveReference } from '../../model/reference.ts';
import { type Attachments, acceptOperation } from '../attachments.ts';
import { imageView } from '../image-view.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';

const params = z.object({ ref: z.string().max(200) });

/** `/v1/images`: the records, and the verbs as operations. */
export function imageRoutes(server: TypedServer, services: DaemonServices, attachments: Attachments): void {
  const view = (image: Image) => imageView(services, image);
  const resolve = (reference: string): Image => resolveReference('image', services.images, reference);
  const accept = acceptOperation(attachments);

  server.get('/v1/images', { schema: { response: { 200: z.array(imageSchema) } } }, () => Promise.all(services.images.list().map(view)));

  server.get('/v1/images/:ref', { schema: { params, response: { 200: imageSchema } } }, (request) => view(resolve(request.params.ref)));

  server.get('/v1/provision-steps', { schema: { response: { 200: z.array(provisionStepSchema) } } }, async () =>
    (await services.provisionSources.steps()).map(({ name, title, packages, needs, isOptional, servicePorts }) => ({
      ...{ name, title, packages, needs, isOptional, servicePorts },
    })),
  );

  server.post('/v1/images/build', { schema: { body: buildImageSchema, response: { 202: operationSchema } } }, async (request, reply) =>
    accept(request, reply, await buildImage(services, request.body)),
  );

  server.post('/v1/images/import', { schema: { body: importImageSchema, response: { 202: operationSchema } } }, async (request, reply) =>
    accept(request, reply, await importImage(services, request.body)),
  );

  server.post('/v1/images/register', { schema: { body: registerImageSchema, response: { 201: imageSchema } } }, async (request, reply) => {
    reply.status(201);
    return view(await registerImage(services, request.body));
  });

  server.post('/v1/images/prune', { schema: { body: pruneImagesSchema, response: { 202: operationSchema } } }, (request, reply) =>
    accept(request, reply, pruneImages(services, { all: request.body?.all ?? false, defaultName: services.defaultImageName })),
  );

  server.post(
    '/v1/images/:ref/promote',
    { schema: { params, body: promoteImageSchema, response: { 202: operationSchema } } },
    (request, reply) => accept(request, reply, promoteImage(services, resolve(request.params.ref), request.body?.name)),
  );

  server.delete('/v1/images/:ref', { schema: { params, response: { 202: operationSchema } } }, (request, reply) =>
    accept(request, reply, deleteImage(services, resolve(request.params.ref))),
  );
}
