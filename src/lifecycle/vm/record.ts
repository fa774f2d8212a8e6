import type { Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import { NEVER_RUN, type Vm, type VmSpec } from '../../model/vm.ts';
import { freeNetworkIndex } from '../network-index.ts';

/** What is decided about a VM before it exists. */
export type NewVm = {
  /** Gets the id. */
  name: (vm: { id: string }) => string;
  image: Pick<Image, 'id' | 'name'>;
  spec: VmSpec;
} & Partial<Pick<Vm, 'labels'>>;

/**
 * @returns the record of a VM that is about to be made, which the store does not have yet
 * @throws NETWORK_FAILED
 */
export function newRecord(services: LifecycleServices, { name, image, spec, labels = {} }: NewVm): Vm {
  const id = services.world.ids.newId();
  return {
    id,
    name: name({ id }),
    state: 'creating',
    imageId: image.id,
    imageName: image.name,
    spec,
    networkIndex: freeNetworkIndex(services),
    createdAt: services.world.clock.now().toISOString(),
    ...NEVER_RUN,
    labels,
  };
}

/** @throws NOT_FOUND if the image was deleted while the host was examined; NAME_TAKEN */
export function insertNew(services: LifecycleServices, vm: Vm): void {
  if (services.images.records.find(vm.imageId) === undefined) throw new BangerError('NOT_FOUND', `the image ${vm.imageName} was deleted`);
  services.vms.records.insert(vm);
}

/** The first step of every VM. */
export const record: Step<VmContext> = {
  name: 'record',
  title: 'directories',
  async apply({ services, paths }) {
    await services.world.files.makePrivateDirectory(paths.directory);
    await services.world.files.makePrivateDirectory(paths.logDirectory);
  },
  // The logs stay: they tell why it failed.
  undo: ({ services, paths }) => services.world.files.removeTree(paths.directory),
};

/**
 * The record is removed last. If something could not be undone, the record stays as that of an interrupted deletion, which never starts
 * again.
 */
export function forget(services: LifecycleServices, vm: Vm, error: unknown): void {
  const isUndone = !(error instanceof BangerError) || error.undoErrors.length === 0;
  if (isUndone) services.vms.records.remove(vm.id);
  else services.vms.records.move(vm.id, 'deleting', { lastError: `its creation failed and could not be undone: ${error.message}` });
}
