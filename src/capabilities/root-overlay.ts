import type { Capability } from './capability.ts';

/** The VM's private copy-on-write layer over the image's root file system: /dev/vda. */
export const rootOverlay: Capability = {
  name: 'root-overlay',
  prepare: {
    name: 'root-overlay',
    title: 'root overlay',
    async apply(context, signal) {
      const { vm, image, paths, services, update } = context;
      update({ runtime: { bootId: services.host.bootId(), ...vm.runtime, storageDriver: context.drivers.storage.name } });
      await context.drivers.storage.create(
        { basePath: image.rootfsPath, overlayPath: paths.rootOverlay, sizeBytes: vm.spec.rootOverlayBytes },
        signal,
      );
    },
    undo: ({ drivers, paths }) => drivers.storage.remove(paths.rootOverlay),
  },
  machine({ drivers, paths }, draft) {
    const disk = drivers.storage.open(paths.rootOverlay);
    draft.disks.push({ ...disk, readOnly: false, durable: true });
  },
  guestConfig(_context, draft) {
    draft.growRoot = true;
  },
};
