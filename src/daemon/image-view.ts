import type { ImageView } from '../api/image-schemas.ts';
import { templatesOf } from '../lifecycle/template/templates.ts';
import { usersOf } from '../lifecycle/image/names.ts';
import type { Image } from '../model/image.ts';
import type { DaemonServices } from './services.ts';

/** What the API shows of an image. */
export async function imageView(services: Pick<DaemonServices, 'vms' | 'images'>, image: Image): Promise<ImageView> {
  const { recipe: _recipe, ...shown } = image;
  return {
    ...shown,
    isDefault: image.name === services.images.defaultName,
    vms: usersOf(services, image),
    templates: templatesOf(services).filter(({ imageId }) => imageId === image.id).length,
    ...(await services.images.freshness(image)),
  };
}
