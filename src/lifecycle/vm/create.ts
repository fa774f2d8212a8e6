import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import { checkName } from '../../model/name.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { AllSettings } from '../../model/settings/all.ts';
import { completeSpec } from '../../model/settings/complete.ts';
import type { Asked } from '../../model/settings/setting.ts';
import { changedLabels } from '../../model/vm-change.ts';
import type { Vm, VmSpec } from '../../model/vm.ts';
import { healImage } from '../image/heal.ts';
import { preflight } from '../health/preflight.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runSteps, type Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { type Claimed, makeOfSpare, takeSpare } from '../pool/claim.ts';
import { stepsOf } from './capability-steps.ts';
import { makeClone } from '../template/clone.ts';
import { makeInBackground } from '../template/warm.ts';
import { forget, insertNew, newRecord, record } from './record.ts';
import { shapeOf } from '../template/shape.ts';
import { findTemplate } from '../template/templates.ts';
import { startSteps } from './start-steps.ts';

export type CreateRequest = {
  name?: string;
  image?: string;
  labels?: Readonly<Record<string, string>>;
  /** The user's choices; defaults fill in the rest. */
  asked: Asked<AllSettings>;
  start: boolean;
  waitForServices: boolean;
  /** Whether it boots in any case, and takes nothing that was prepared. */
  cold?: boolean;
};

/**
 * Reserves the name and begins the creation; any failure is rolled back completely.
 * @throws before anything exists: INVALID_INPUT, NAME_TAKEN, NOT_FOUND, BUNDLE_MISSING, NO_SPACE, PREREQUISITE_MISSING
 */
export async function createVm(services: LifecycleServices, request: CreateRequest): Promise<OperationRecord> {
  if (request.name !== undefined) checkName(request.name);
  const image = await services.images.resolve(request.image);
  const spec = completeSpec(services.settings.defaultSpec, request.asked, image);
  for (const capability of ALL_CAPABILITIES) await capability.checkNew?.(services, spec);
  await preflight(services, 'vm create', { image });
  const shape = request.start && request.cold !== true ? await shapeOf(services, image, spec) : undefined;
  const { vm, claimed, giveBack } = reserve(services, { ...request, image, shape }, spec);
  try {
    return services.operations.begin('vm.create', vm, (operation) => build(services, vm, { ...request, image, shape, claimed }, operation));
  } catch (error) {
    giveBack();
    throw error;
  }
}

type Wish = Omit<CreateRequest, 'image'> & { image: Image; shape: string | undefined };

async function build(
  services: LifecycleServices,
  vm: Vm,
  request: Wish & { claimed: Claimed | undefined },
  operation: OperationHandle,
): Promise<void> {
  const { journal, signal } = operation;
  const { shape, claimed, waitForServices } = request;
  // A spare must be made or taken apart, even for a creation that is cancelled at once.
  const patience = claimed === undefined ? signal : new AbortController().signal;
  try {
    await services.vms.locks.hold(vm.id, patience, async () => {
      if (claimed !== undefined && (await makeOfSpare(services, { ...claimed, waitForServices }, operation))) return;
      const template = findTemplate(services, shape);
      if (template !== undefined && (await makeClone(services, { vm, template, waitForServices }, operation))) return;
      await runSteps({ steps: createSteps(request), context: makeContext(services, vm, operation), journal, signal });
    });
    void healImage(services, vm.imageId);
    if (shape !== undefined) makeInBackground(services, { image: request.image, spec: vm.spec, shape });
  } catch (error) {
    forget(services, vm, error);
    if (signal.aborted) await services.world.files.removeTree(services.vms.pathsOf(vm).logDirectory);
    throw error;
  }
}

/**
 * Chooses name and address and makes the record in one go, so that two creates cannot choose the same.
 * @returns it, with the spare that it was made of, if there is one; `giveBack` takes all back before anything has begun
 */
function reserve(services: LifecycleServices, { name, labels = {}, image, shape }: Wish, spec: VmSpec) {
  const { records } = services.vms;
  const vm = newRecord(services, { name: () => name ?? freeName(services), image, spec, labels: changedLabels({}, labels) });
  const claimed = takeSpare(services, vm, shape);
  if (claimed !== undefined) return { vm: claimed.vm, claimed, giveBack: () => void records.move(claimed.was.id, 'spare', claimed.was) };
  insertNew(services, vm);
  return { vm, claimed, giveBack: () => records.remove(vm.id) };
}

function freeName(services: LifecycleServices): string {
  for (let attempt = 0; attempt < 20; attempt++) {
    const name = services.world.ids.newName();
    if (services.vms.records.findByName(name) === undefined) return name;
  }
  throw new BangerError('NAME_TAKEN', 'found no free name', { remedy: 'choose one with --name' });
}

export function createSteps(options: { start: boolean; waitForServices: boolean }): Step<VmContext>[] {
  return [record, ...stepsOf(ALL_CAPABILITIES, 'prepare'), ...(options.start ? startSteps(options) : [leaveStopped])];
}

const leaveStopped: Step<VmContext> = {
  name: 'settle',
  title: 'stopped',
  apply: ({ move }) => move('stopped'),
};
