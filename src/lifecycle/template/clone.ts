import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import { cloneSource } from '../../context/clone-source.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runSteps, type Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { BangerError } from '../../model/errors.ts';
import { isHidden } from '../../model/hidden.ts';
import type { Vm } from '../../model/vm.ts';
import { discard } from '../hidden.ts';
import { stepsOf } from '../vm/capability-steps.ts';
import { goOnAsAnother } from '../vm/identity.ts';
import { record } from '../vm/record.ts';
import { afterSteps, announce, claim, machineUp } from '../vm/start-steps.ts';
import { endVmm, machineSpec } from '../vm/vmm.ts';
import { touchTemplate } from './templates.ts';

/** A guest that was restored answers within a second; on a busy host it takes longer, but a boot would take longer still. */
const ANSWER_MS = 20_000;
/** Of one that nobody waits for, and that yields to everyone else. */
const BACKGROUND_ANSWER_MS = 300_000;

/** A template whose clones fail for one of these is of no use any more. */
const SPOILT = new Set(['SNAPSHOT_UNUSABLE', 'VMM_FAILED', 'STORAGE_FAILED']);

/**
 * Makes a new VM from a template. Nobody has used it before it is whole, so whatever fails, it can be made from the image all the same.
 * @returns whether it runs; if not, nothing is left of the attempt, and the log says why
 * @throws if it was cancelled, or could not be undone
 */
export async function makeClone(
  services: LifecycleServices,
  { vm, template, waitForServices }: { vm: Vm; template: Vm; waitForServices: boolean },
  operation: OperationHandle,
): Promise<boolean> {
  const { journal, signal, log } = operation;
  const context = makeContext(services, services.vms.records.find(vm.id) ?? vm, operation);
  cloneSource.set(context, template);
  try {
    await runSteps({ steps: cloneSteps({ waitForServices }), context, journal, signal });
  } catch (error) {
    if (signal.aborted || !(error instanceof BangerError) || error.undoErrors.length > 0) throw error;
    log(`it could not be made from a template, and boots instead: ${error.message}`);
    if (SPOILT.has(error.code)) services.background.begin(`end of ${template.name}`, () => discard(services, template));
    return false;
  }
  touchTemplate(services, template);
  return true;
}

/** Everything from a record to a running VM, with the disks and the memory of the source. */
export function cloneSteps({ waitForServices }: { waitForServices: boolean }): Step<VmContext>[] {
  return [...cloneLife(), ...afterSteps({ waitForServices }), announce];
}

/** From a record to a guest that has its identity. */
export function cloneLife(): Step<VmContext>[] {
  return [record, ...stepsOf(ALL_CAPABILITIES, 'prepare'), claim(false), ...stepsOf(ALL_CAPABILITIES, 'beforeStart'), restore, identify];
}

/** In place of the boot. */
const restore: Step<VmContext> = {
  name: 'restore',
  title: 'memory of a template',
  async apply(context, signal) {
    const { vm, services, drivers } = context;
    const { hypervisor } = drivers;
    if (hypervisor.restore === undefined) throw new BangerError('SNAPSHOT_UNUSABLE', `${hypervisor.name} has no snapshots`);
    const { snapshot } = services.vms.pathsOf(cloneSource.get(context));
    const machine = await hypervisor.restore(machineSpec(context), snapshot, signal);
    machineUp(context, machine);
    // Nobody waits for it yet.
    if (isHidden(vm)) await services.world.processes.setBackground(machine.process, true);
  },
  undo: (context) => endVmm(context),
};

const identify: Step<VmContext> = {
  name: 'agent',
  title: 'identity',
  apply: (context, signal) => goOnAsAnother(context, { signal, timeoutMs: isHidden(context.vm) ? BACKGROUND_ANSWER_MS : ANSWER_MS }),
};
