import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import { tellTroubles } from '../../context/guest-troubles.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runSteps, type Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { BangerError } from '../../model/errors.ts';
import type { Vm } from '../../model/vm.ts';
import { hiddenVms } from '../hidden.ts';
import { SHAPE } from '../template/templates.ts';
import { accompany } from '../vm/companions.ts';
import { takeApart } from '../vm/delete-steps.ts';
import { afterSteps, announce, guestDraft } from '../vm/start-steps.ts';
import { news, told } from './spare-steps.ts';

/** A spare that has become a user's VM, as far as its record goes. */
export type Claimed = { vm: Vm; was: Vm };

/**
 * Makes a spare the VM that a user wants: one change of its record, so that no two creations get the same.
 * @param wanted the record of a new VM
 * @param shape of it, from `shapeOf`
 * @returns undefined if there is none of its shape
 * @throws NAME_TAKEN
 */
export function takeSpare(services: LifecycleServices, wanted: Vm, shape: string | undefined): Claimed | undefined {
  if (shape === undefined) return undefined;
  const spare = hiddenVms(services).find((vm) => vm.state === 'spare' && vm.labels[SHAPE] === shape && canBecome(services, vm, wanted));
  if (spare === undefined) return undefined;
  const { name, spec, labels, createdAt } = wanted;
  return { vm: services.vms.records.move(spare.id, 'creating', { name, spec, labels, createdAt }), was: spare };
}

/** Whether its VMM lives, and all that differs can change while it runs. */
function canBecome(services: LifecycleServices, spare: Vm, wanted: Vm): boolean {
  if (services.vms.machines.find(spare.id) === undefined || spare.imageName !== wanted.imageName) return false;
  try {
    for (const { change } of ALL_CAPABILITIES) change?.check?.(services, { ...spare, state: 'running' }, wanted);
    return true;
  } catch (error) {
    if (error instanceof BangerError) return false;
    throw error;
  }
}

/**
 * Makes a new VM of a spare that was claimed. Nobody has used it before, so whatever fails, the VM can be made in another way all the same.
 * @returns whether it runs; if not, only the record is left, and the log says why
 * @throws if it was cancelled, or could not be taken apart
 */
export async function makeOfSpare(
  services: LifecycleServices,
  { vm, was, waitForServices }: Claimed & { waitForServices: boolean },
  operation: OperationHandle,
): Promise<boolean> {
  const { journal, signal, log } = operation;
  const context = makeContext(services, vm, operation);
  const changes = ALL_CAPABILITIES.toReversed().flatMap(({ change }) => change?.make?.({ from: was, to: vm, isRunning: true }) ?? []);
  try {
    await runSteps({ steps: [wakeUp, ...changes, ...afterSteps({ waitForServices }), announce], context, journal, signal });
    return true;
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    await strip(context).catch((failure: Error) => error.undoErrors.push(failure));
    if (signal.aborted || error.undoErrors.length > 0) throw error;
    log(`it could not be made of a spare VM, and takes longer: ${error.message}`);
    return false;
  }
}

/** Takes from a record all that belongs to it. */
async function strip(context: VmContext): Promise<void> {
  await takeApart({ context, journal: () => undefined, signal: new AbortController().signal });
  const { files } = context.services.world;
  for (const path of [context.paths.runtimeDirectory, context.paths.directory]) await files.removeTree(path);
  context.update({ runtime: null, sshHostKey: null, startedAt: null });
}

/** A guest that has done all this before answers within a tenth of a second; a busy host takes longer. */
const ANSWER_MS = 20_000;

const wakeUp: Step<VmContext> = {
  name: 'spare',
  title: 'spare VM',
  async apply(context, signal) {
    const { services, vm } = context;
    const live = services.vms.machines.get(vm);
    accompany(context, live, 'whilePowered');
    const draft = await guestDraft(context);
    await live.machine.resume?.();
    const fresh = { ...news(told.get(live), draft), randomSeed: draft.randomSeed, unixMs: 'now' } as const;
    const { troubles } = await live.agent.personalize(fresh, { signal, timeoutMs: ANSWER_MS });
    tellTroubles(context, troubles);
    accompany(context, live, 'whileUp');
  },
};
