import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import { type PipelineOptions, runAll, runSteps, type Step } from '../pipeline.ts';
import type { VmContext } from '../vm-context.ts';
import { present } from './capability-steps.ts';
import { stopSteps } from './stop-steps.ts';
import { assertEnded } from './vmm.ts';

/**
 * From any state to nothing. Nothing is touched before the record says so. Then everything is tried; files and record go
 * last, and only when all else is gone, so that a failed delete can be tried again.
 * @throws the first failure with the others joined to it
 */
export async function removeVm(options: Omit<PipelineOptions<VmContext>, 'steps'>): Promise<void> {
  // What has begun is not cancelled: soon the disks are gone.
  const signal = new AbortController().signal;
  await runSteps({ ...options, steps: [claim], signal });
  await runAll({ ...options, steps: takeApart() });
  await runSteps({ ...options, steps: [forget], signal });
}

const claim: Step<VmContext> = { name: 'claim', title: 'delete', apply: ({ update }) => update({ state: 'deleting' }) };

function takeApart(): Step<VmContext>[] {
  const disks = present(ALL_CAPABILITIES, 'prepare')
    .toReversed()
    .flatMap((step) => (step.undo === undefined ? [] : { name: step.name, title: `remove ${step.title}`, apply: step.undo }));
  return [
    // The VM must not look stopped in between: somebody could start it.
    ...stopSteps({ ask: false }).filter((step) => step.name !== 'settle'),
    ...disks,
  ];
}

const forget: Step<VmContext> = {
  name: 'record',
  title: 'remove files and record',
  async apply(context) {
    const { services, paths, vm } = context;
    assertEnded(context);
    await services.host.removeTree(paths.runtimeDirectory);
    await services.host.removeTree(paths.directory);
    await services.host.removeTree(paths.logDirectory);
    services.vms.remove(vm.id);
  },
};
