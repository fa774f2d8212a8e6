// Starts a system beside the VM's own disks, for disks that no longer mount or boot.
import type { Capability } from '../../context/capability.ts';
import { BangerError } from '../../model/errors.ts';
import { stepResult } from '../../context/step-result.ts';
import type { VmContext } from '../../context/vm-context.ts';

/** Root file system of an image, for a rescue start. */
export const rescueRootPath = stepResult<string>('the root of a rescue');

/** @returns whether a rescue system gets this capability's part of the guest */
export function isForRescue(capability: Capability): boolean {
  return capability.traits?.ofOwnSystem !== true;
}

/**
 * @returns the root file system that a rescue boots: the image's, or the default image's if the image has no init and so may lack even a
 * shell
 * @throws NOT_FOUND
 */
export async function rescueRoot({ image, services, vm }: VmContext): Promise<string> {
  const other = image.initSystem === 'none' ? await services.images.resolve(undefined).catch(() => undefined) : undefined;
  const path = other === undefined || other.initSystem === 'none' ? image.rootfsPath : other.rootfsPath;
  if (path !== '' && (await services.world.files.exists(path))) return path;
  throw new BangerError('NOT_FOUND', `there is no image to rescue ${vm.name} from`, {
    remedy: 'banger bundle build',
  });
}
