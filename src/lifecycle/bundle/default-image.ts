import { createHash } from 'node:crypto';
import { type Bundle, bundlePath, completeImage, type Image } from '../../model/image.ts';
import { yieldName } from '../image/names.ts';
import type { Store } from '../../store/store.ts';

/**
 * The image of a bundle. Its id follows from its content, so that a rebuilt bundle is another image, and VMs of the old one keep their
 * kernel and root file system.
 * @param name what users call it
 */
export function imageOfBundle(bundle: Bundle, name: string): Image {
  const { manifest } = bundle;
  const content = createHash('sha256');
  for (const part of ['kernel', 'initramfs', 'rootfs', 'workSeed'] as const) content.update(manifest.files[part].sha256);
  return completeImage({
    id: content.digest('hex').slice(0, 32),
    name,
    kernelPath: bundlePath(bundle, 'kernel'),
    initramfsPath: bundlePath(bundle, 'initramfs'),
    agentSha256: manifest.files.agent.sha256,
    modulesPath: bundlePath(bundle, 'modules'),
    rootfsPath: bundlePath(bundle, 'rootfs'),
    rootfsBytes: manifest.files.rootfs.sizeBytes,
    workSeedPath: bundlePath(bundle, 'workSeed'),
    workSeedBytes: manifest.files.workSeed.sizeBytes,
    distribution: manifest.distribution,
    initSystem: 'systemd',
    kernelVersion: manifest.kernelVersion,
    packagesHash: manifest.packagesHash,
    packages: manifest.packages,
    workSeedFingerprint: manifest.files.workSeed.sha256,
    createdAt: manifest.builtAt,
  });
}

/**
 * The newest bundle gets the name, unless the user has given it to a managed image or an image of their own. An image whose files moved
 * keeps its id, because it follows from the content.
 */
export function saveDefaultImage(store: Pick<Store, 'images' | 'vms'>, image: Image): void {
  const holder = store.images.findByName(image.name);
  if (holder !== undefined && (holder.managed || holder.origin !== 'bundle')) return;
  if (store.images.find(image.id)?.managed === true) return;
  if (holder !== undefined && holder.id !== image.id) yieldName({ vms: { records: store.vms }, images: { records: store.images } }, holder);
  store.images.save(image);
}
