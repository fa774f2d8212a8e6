import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import { checkName } from '../../model/name.ts';
import type { ImageStore } from '../../store/images.ts';
import type { VmStore } from '../../store/vms.ts';
import type { LifecycleServices } from '../../context/services.ts';

type Users = { vms: { records: Pick<VmStore, 'list'> } };

/** @returns the VMs that boot from the image */
export function usersOf({ vms }: Users, image: Pick<Image, 'id'>): string[] {
  return vms.records
    .list()
    .filter((vm) => vm.imageId === image.id)
    .map((vm) => vm.name);
}

/** @throws WRONG_STATE with the VMs that boot from the image */
export function refuseWhileUsed(services: Users, image: Image, action: string): void {
  const users = usersOf(services, image);
  if (users.length === 0) return;
  throw new BangerError(
    'WRONG_STATE',
    `the image ${image.name} cannot be ${action} while ${users.join(', ')} boot${users.length === 1 ? 's' : ''} from it`,
    {
      remedy: `banger vm delete ${users.join(' ')}`,
      details: { vms: users },
    },
  );
}

/**
 * Frees a name that another image is about to take: if VMs need the image, it keeps its record under a longer name, otherwise the record is
 * removed.
 */
export function yieldName(services: Users & { images: { records: Pick<ImageStore, 'save' | 'remove'> } }, image: Image): void {
  if (usersOf(services, image).length > 0 || image.managed) {
    services.images.records.save({ ...image, name: `${image.name.slice(0, 54)}-${image.id.slice(0, 8)}` });
  } else services.images.records.remove(image.id);
}

/**
 * Reserves a name for an image that is being made, so that no other can begin under it.
 * @param options.replace the name may belong to an image, which will give it up
 * @returns a function that frees the name; later the image's record holds it
 * @throws NAME_TAKEN, INVALID_INPUT
 */
export function reserveName(services: Pick<LifecycleServices, 'images'>, name: string, options: { replace?: boolean } = {}): () => void {
  checkName(name, 'image');
  if (services.images.reserved.has(name)) {
    throw new BangerError('NAME_TAKEN', `another operation is making an image named ${name}`, { remedy: 'banger operation list' });
  }
  if (options.replace !== true && services.images.records.findByName(name) !== undefined) {
    throw new BangerError('NAME_TAKEN', `there is already an image named ${name}`, {
      remedy: `banger image show ${name}`,
    });
  }
  services.images.reserved.add(name);
  return () => void services.images.reserved.delete(name);
}
