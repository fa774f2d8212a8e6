import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Step } from '../pipeline.ts';
import type { VmContext } from '../vm-context.ts';
import { present } from './capability-steps.ts';
import { stopSteps } from './stop-steps.ts';

/** From any state to nothing. Run with runAll; the record goes last, so that a failed delete can be tried again. */
export function deleteSteps(): Step<VmContext>[] {
  const disks = present(ALL_CAPABILITIES, 'prepare')
    .toReversed()
    .flatMap((step) => (step.undo === undefined ? [] : { name: step.name, title: `remove ${step.title}`, apply: step.undo }));
  return [
    { name: 'claim', title: 'delete', apply: ({ update }) => update({ state: 'deleting' }) },
    // The VM must not look stopped in between: somebody could start it.
    ...stopSteps({ ask: false }).filter((step) => step.name !== 'settle'),
    ...disks,
    {
      name: 'record',
      title: 'remove files and record',
      onlyWhenClean: true,
      async apply({ services, paths, vm }) {
        await services.host.removeTree(paths.runtimeDirectory);
        await services.host.removeTree(paths.directory);
        await services.host.removeTree(paths.logDirectory);
        services.vms.remove(vm.id);
      },
    },
  ];
}
