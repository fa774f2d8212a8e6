import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { BangerError } from '../../model/errors.ts';
import { type PipelineOptions, runAll, runSteps, type Step } from '../../context/pipeline.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { stepsOf } from './capability-steps.ts';
import { takeDownSteps } from './stop-steps.ts';
import { assertEnded, findVmm } from './vmm.ts';
import { messageOf } from '../../lib/message-of.ts';

/**
 * Deletes a VM in any state. The record says so before anything is touched. Then every step is tried, but no disk is removed under a living
 * VMM. Files and record are removed last, and only if all else is gone. An interrupted deletion says what is left; the next attempt or the
 * next daemon finishes it.
 * @throws the first failure with the others joined to it
 */
export async function removeVm(options: Omit<PipelineOptions<VmContext>, 'steps'>): Promise<void> {
  // Once begun it cannot be cancelled: soon the disks are gone.
  const signal = new AbortController().signal;
  await runSteps({ ...options, steps: [claim], signal });
  try {
    await takeApart(options);
    await runSteps({ ...options, steps: [forget], signal });
  } catch (error) {
    await tellWhatIsLeft(options.context, error);
    throw error;
  }
}

const claim: Step<VmContext> = { name: 'claim', title: 'delete', apply: ({ move }) => move('deleting') };

/** Ends the VMM and removes the disks, but no disk under a living VMM. Every step is tried. @throws the first failure with the others joined to it */
export async function takeApart(options: Omit<PipelineOptions<VmContext>, 'steps'>): Promise<void> {
  // The VM must not look stopped in between, or a user could start it.
  const ending = takeDownSteps({ ask: false });
  const disks = stepsOf(ALL_CAPABILITIES, 'prepare')
    .toReversed()
    .flatMap((step) => (step.undo === undefined ? [] : { name: step.name, title: `remove ${step.title}`, apply: step.undo }));
  const first = await failureOf(runAll({ ...options, steps: ending }));
  if (first !== undefined && (await mayRun(options.context))) throw first;
  const second = await failureOf(runAll({ ...options, steps: disks }));
  if (first !== undefined && second !== undefined) first.undoErrors.push(second, ...second.undoErrors.splice(0));
  const failure = first ?? second;
  if (failure !== undefined) throw failure;
}

function failureOf(work: Promise<void>): Promise<BangerError | undefined> {
  return work.then(
    () => undefined,
    (error: BangerError) => error,
  );
}

async function mayRun(context: VmContext): Promise<boolean> {
  if (context.services.vms.machines.find(context.vm.id) !== undefined) return true;
  return findVmm(context).then(
    (process) => process !== undefined,
    () => true,
  );
}

async function tellWhatIsLeft(context: VmContext, error: unknown): Promise<void> {
  const { services, paths, vm } = context;
  const disks = { 'root disk': paths.rootOverlay, 'work disk': paths.workDisk };
  const there = await Promise.all(Object.values(disks).map((path) => services.world.files.exists(path)));
  const left = ['its record', ...Object.keys(disks).filter((_name, at) => there[at])].join(', ');
  const reason = messageOf(error);
  const lastError = `its deletion failed (${reason}); left: ${left}`;
  try {
    context.update({ lastError });
  } catch (unwritten) {
    services.world.warn('the leftovers of a VM could not be recorded', { vm: vm.name, lastError, reason: String(unwritten) });
  }
}

const forget: Step<VmContext> = {
  name: 'record',
  title: 'remove files and record',
  async apply(context) {
    const { services, paths, vm } = context;
    assertEnded(context);
    await services.world.files.removeTree(paths.runtimeDirectory);
    await services.world.files.removeTree(paths.directory);
    await services.world.files.removeTree(paths.logDirectory);
    services.vms.records.remove(vm.id);
  },
};
