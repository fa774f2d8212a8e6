import type { Image } from '../../model/image.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { discard, hiddenVms } from '../hidden.ts';
import { refuseWhileUsed, usersOf } from './names.ts';

/**
 * Removes an image: with the files of a managed image; only the record if the files belong to the user or the bundle.
 * @throws WRONG_STATE before anything begins if a VM uses it
 */
export function deleteImage(services: LifecycleServices, image: Image): OperationRecord {
  refuseWhileUsed(services, image, 'deleted');
  return services.operations.begin('image.delete', null, ({ signal, journal }) =>
    services.vms.locks.hold(lockOf(image), signal, async () => {
      const step = { name: 'files', title: image.managed ? 'record and files' : 'record' };
      const present = services.images.records.find(image.id);
      if (present === undefined) return journal(step, 'skipped');
      journal(step, 'started');
      refuseWhileUsed(services, present, 'deleted');
      await removeImage(services, present);
      journal(step, 'done');
    }),
  );
}

/** @returns the lock key of one image */
export function lockOf(image: Pick<Image, 'id'>): string {
  return `image ${image.id}`;
}

/**
 * The record is removed first, so that no VM can start on files that are being removed. Then what banger itself has made from it is removed. A half removed image is swept like a half made one.
 */
async function removeImage(services: LifecycleServices, image: Image): Promise<void> {
  const { directory, staging, buildLog } = services.images.pathsOf(image);
  services.images.records.remove(image.id);
  for (const vm of hiddenVms(services)) if (vm.imageId === image.id) await discard(services, vm);
  if (!image.managed) return;
  await services.world.files.removeTree(staging);
  if (await services.world.files.exists(directory)) await services.world.files.publishDirectory(directory, staging);
  await services.world.files.removeTree(staging);
  await services.world.files.removeTree(buildLog);
}

/** Removes an image that lost its name to another, unless a VM needs it. */
export async function removeUnused(services: LifecycleServices, image: Image): Promise<void> {
  const present = services.images.records.find(image.id);
  if (present === undefined || present.name === image.name || usersOf(services, present).length > 0) return;
  await removeImage(services, present);
}

/**
 * Removes images that are no longer needed: images of older bundles from which no VM boots.
 * @param options.all also every other image from which no VM boots, except the default image
 * @returns the images to remove
 */
export function prunableImages(
  services: Pick<LifecycleServices, 'images' | 'vms'>,
  options: { all: boolean; defaultName: string },
): Image[] {
  const isOld = (image: Image): boolean => image.origin === 'bundle' && !image.managed && image.name !== options.defaultName;
  return services.images.records
    .list()
    .filter((image) => usersOf(services, image).length === 0 && image.name !== options.defaultName)
    .filter((image) => options.all || isOld(image));
}

/** Removes the images that `prunableImages` returns, and names them. */
export function pruneImages(services: LifecycleServices, options: { all: boolean; defaultName: string }): OperationRecord {
  return services.operations.begin('image.prune', null, async ({ signal, journal }) => {
    for (const image of prunableImages(services, options)) {
      await services.vms.locks.hold(lockOf(image), signal, async () => {
        if (usersOf(services, image).length > 0) return;
        await removeImage(services, image);
        journal({ name: image.name, title: image.name }, 'done');
      });
    }
  });
}
