import type { Image } from '../../model/image.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { BangerError } from '../../model/errors.ts';
import type { Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { copyFile, createManagedImage, type ImageContext } from './managed.ts';
import { refuseWhileUsed } from './names.ts';

/**
 * Copies an image's files into the state directory: for the image itself, which keeps its id, or for another one.
 * @param name of the other image; without one, no VM may boot from the image, because its overlays refer to the files' present paths
 * @throws WRONG_STATE, NAME_TAKEN, INVALID_INPUT
 */
export function promoteImage(services: LifecycleServices, image: Image, name: string | undefined): OperationRecord {
  const isInPlace = name === undefined || name === image.name;
  if (isInPlace && image.managed) {
    throw new BangerError('WRONG_STATE', `the files of ${image.name} are already in the state directory`, {
      remedy: `banger image show ${image.name}`,
    });
  }
  if (isInPlace) refuseWhileUsed(services, image, 'promoted');
  const {
    id,
    name: _name,
    managed: _managed,
    createdAt: _createdAt,
    kernelPath: _kernel,
    initramfsPath: _initramfs,
    modulesPath: _modules,
    ...facts
  } = image;
  return createManagedImage(services, {
    verb: 'image.promote',
    name: name ?? image.name,
    origin: image.origin,
    boot: image,
    steps: [{ ...copyDisks(image, isInPlace), name: 'disks', title: 'root file system and work seed' }],
    facts,
    ...(isInPlace ? { id, replace: true } : {}),
  });
}

function copyDisks(image: Image, isInPlace: boolean): Pick<Step<ImageContext>, 'apply'> {
  return {
    async apply({ services, files }, signal) {
      if (isInPlace) refuseWhileUsed(services, image, 'promoted');
      await copyFile(services, image.rootfsPath, files.rootfs, signal);
      if (image.workSeedPath !== null) await copyFile(services, image.workSeedPath, files.workSeed, signal);
    },
  };
}
