import { IMAGE_ROUTES } from '../../api/routes/images.ts';
import { buildImage } from '../../lifecycle/image/build.ts';
import { importImage } from '../../lifecycle/image/import.ts';
import { promoteImage } from '../../lifecycle/image/promote.ts';
import { registerImage } from '../../lifecycle/image/register.ts';
import { deleteImage, pruneImages } from '../../lifecycle/image/remove.ts';
import { deleteTemplate } from '../../lifecycle/template/delete.ts';
import { templatesOf } from '../../lifecycle/template/templates.ts';
import { warmImage } from '../../lifecycle/template/warm.ts';
import type { Image } from '../../model/image.ts';
import { among, resolveReference } from '../../model/reference.ts';
import { served, type ServedRoutes } from '../handlers.ts';
import { imageView } from '../image-view.ts';
import type { DaemonServices } from '../services.ts';
import { templateView } from '../template-view.ts';

/** Images: reading their records, and the verbs as operations. */
export function imageHandlers(services: DaemonServices): ServedRoutes {
  const view = (image: Image) => imageView(services, image);
  const resolve = ({ ref }: { ref: string }): Image => resolveReference('image', services.images.records, ref);
  return served(IMAGE_ROUTES, {
    'GET /v1/images': () => Promise.all(services.images.records.list().map(view)),
    'GET /v1/images/:ref': ({ params }) => view(resolve(params)),
    'GET /v1/provision-steps': async () =>
      (await services.images.sources.steps()).map(({ name, title, packages, needs, isOptional, servicePorts }) => ({
        ...{ name, title, packages, needs, isOptional, servicePorts },
      })),
    'POST /v1/images/build': ({ body }) => buildImage(services, body),
    'POST /v1/images/import': ({ body }) => importImage(services, body),
    'POST /v1/images/register': async ({ body }) => view(await registerImage(services, body)),
    'POST /v1/images/:ref/promote': ({ params, body }) => promoteImage(services, resolve(params), body?.name),
    'POST /v1/images/:ref/warm': ({ params }) => warmImage(services, resolve(params)),
    'GET /v1/templates': () => Promise.all(templatesOf(services).map((template) => templateView(services, template))),
    'DELETE /v1/templates/:ref': ({ params }) =>
      deleteTemplate(services, resolveReference('template', among(templatesOf(services)), params.ref)),
    'DELETE /v1/images/:ref': ({ params }) => deleteImage(services, resolve(params)),
    'POST /v1/images/prune': ({ body }) => pruneImages(services, { all: body?.all ?? false, defaultName: services.images.defaultName }),
  });
}
