import type { Image } from '../../model/image.ts';
import { resolveReference } from '../resolve.ts';

/**
 * Finds the image that a user means by name, id, or a prefix of its id.
 * @throws NOT_FOUND, AMBIGUOUS_REFERENCE
 */
export function resolveImage(images: readonly Image[], reference: string): Image {
  return resolveReference('image', images, reference);
}
