import { createHash } from 'node:crypto';
import { type Bundle, bundlePath, type Image } from '../../model/image.ts';

/**
 * The image that a bundle is. Its id comes from what is in it, so that a rebuilt bundle is another image and VMs of the
 * old one keep their kernel and root file system.
 * @param name what users call it
 */
export function imageOfBundle(bundle: Bundle, name: string): Image {
  const { manifest } = bundle;
  const content = createHash('sha256');
  for (const part of ['kernel', 'initramfs', 'rootfs', 'workSeed'] as const) content.update(manifest.files[part].sha256);
  return {
    id: content.digest('hex').slice(0, 32),
    name,
    managed: false,
    kernelPath: bundlePath(bundle, 'kernel'),
    initramfsPath: bundlePath(bundle, 'initramfs'),
    modulesPath: bundlePath(bundle, 'modules'),
    rootfsPath: bundlePath(bundle, 'rootfs'),
    rootfsBytes: manifest.files.rootfs.sizeBytes,
    workSeedPath: bundlePath(bundle, 'workSeed'),
    workSeedBytes: manifest.files.workSeed.sizeBytes,
    distribution: manifest.distribution,
    initSystem: 'systemd',
    packagesHash: manifest.packagesHash,
    servicePorts: [],
    createdAt: manifest.builtAt,
  };
}
