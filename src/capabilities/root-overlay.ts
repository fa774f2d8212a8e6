import type { Capability } from './capability.ts';

/** The VM's private copy-on-write layer over the image's root file system: /dev/vda. */
export const rootOverlay: Capability = {
  name: 'root-overlay',
  prepare: {
    name: 'root-overlay',
    title: 'root overlay',
    async apply({ vm, image, paths, services, update }, signal) {
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
