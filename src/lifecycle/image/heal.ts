import type { LifecycleServices } from '../services.ts';
import { IMAGE_MANIFEST, renderImageManifest } from './manifest.ts';
import { lockOf } from './remove.ts';

/**
 * Gives a managed image the fingerprint of its work seed that it lacks (8.6): it is reckoned when the image was first used, and
 * nobody waits for it.
 */
export async function healImage(services: LifecycleServices, imageId: string): Promise<void> {
  const lacks = (): boolean => {
    const image = services.images.find(imageId);
    return image?.managed === true && image.workSeedPath !== null && image.workSeedFingerprint === null;
  };
  if (!lacks()) return;
  const never = new AbortController().signal;
  await services.locks
    .hold(lockOf({ id: imageId }), never, async () => {
      const image = services.images.find(imageId);
      if (!lacks() || image === undefined || image.workSeedPath === null) return;
      const healed = { ...image, workSeedFingerprint: await services.host.sha256File(image.workSeedPath) };
      const { directory } = services.imagePathsOf(image);
      await services.host.writeFileAtomic(`${directory}/${IMAGE_MANIFEST}`, renderImageManifest(healed));
      if (lacks()) services.images.save({ ...healed, name: services.images.find(imageId)?.name ?? healed.name });
    })
    .catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      services.warn('the fingerprint of a work seed could not be taken', { image: imageId, reason });
    });
}
