import { BangerError } from '../model/errors.ts';
import { formatSize } from '../lib/size.ts';
import type { Capability } from './capability.ts';

/** The VM's private copy-on-write layer over the image's root file system: /dev/vda. */
export const rootOverlay: Capability = {
  name: 'root-overlay',
  prepare: {
    name: 'root-overlay',
    title: 'root overlay',
    async apply({ vm, image, paths, services, update }, signal) {
      if (vm.spec.rootOverlayBytes < image.rootfsBytes) {
        throw new BangerError(
          'INVALID_INPUT',
          `the image ${image.name} needs a root file system of at least ${formatSize(image.rootfsBytes)}`,
          {
            remedy: `use --system-overlay-size ${Math.ceil(image.rootfsBytes / 1024 ** 2)}M or more`,
            details: { field: 'rootOverlayBytes', minimum: image.rootfsBytes },
          },
        );
      }
      update({ runtime: { bootId: services.host.bootId(), ...vm.runtime, storageDriver: services.storage.name } });
      await services.storage.create(
        { basePath: image.rootfsPath, overlayPath: paths.rootOverlay, sizeBytes: vm.spec.rootOverlayBytes },
        signal,
      );
    },
    undo: ({ vm, paths, services }) => services.storageByName(vm.runtime?.storageDriver ?? services.storage.name).remove(paths.rootOverlay),
  },
  machine({ vm, paths, services }, draft) {
    const disk = services.storageByName(vm.runtime?.storageDriver ?? services.storage.name).open(paths.rootOverlay);
    draft.disks.push({ ...disk, readOnly: false, durable: true });
  },
  guestConfig(_context, draft) {
    draft.growRoot = true;
  },
};
