import type { Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { BangerError } from '../../model/errors.ts';
import type { Vm } from '../../model/vm.ts';

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
