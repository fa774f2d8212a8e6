import type { LifecycleServices } from '../../context/services.ts';
import { IMAGE_MANIFEST, renderImageManifest } from './manifest.ts';
import { lockOf } from './remove.ts';
import { messageOf } from '../../lib/message-of.ts';

/**
 * Adds a missing fingerprint of its work seed to a managed image: computed in the background when the image is first used.
 */
export async function healImage(services: LifecycleServices, imageId: string): Promise<void> {
  const lacks = (): boolean => {
    const image = services.images.records.find(imageId);
    return image?.managed === true && image.workSeedPath !== null && image.workSeedFingerprint === null;
  };
  if (!lacks()) return;
  const never = new AbortController().signal;
  await services.vms.locks
    .hold(lockOf({ id: imageId }), never, async () => {
      const image = services.images.records.find(imageId);
      if (!lacks() || image === undefined || image.workSeedPath === null) return;
      const healed = { ...image, workSeedFingerprint: await services.world.files.sha256File(image.workSeedPath) };
      const { directory } = services.images.pathsOf(image);
      await services.world.files.writeFileAtomic(`${directory}/${IMAGE_MANIFEST}`, renderImageManifest(healed));
      if (lacks()) services.images.records.save({ ...healed, name: services.images.records.find(imageId)?.name ?? healed.name });
    })
    .catch((error: unknown) => {
      const reason = messageOf(error);
      services.world.warn('the fingerprint of a work seed could not be taken', { image: imageId, reason });
    });
}
