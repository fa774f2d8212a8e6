import type { LiveMachine } from '../../context/machines.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runAll, runSteps } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { messageOf } from '../../lib/message-of.ts';
import { BangerError } from '../../model/errors.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { decideAction, isPowered } from '../../model/vm-state.ts';
import type { Vm, VmSleep } from '../../model/vm.ts';
import { goOnPaused, standStill } from './pause-steps.ts';
import { requireRoom, snapshotsOf, writeSnapshot } from './snapshot.ts';
import { stopSteps } from './stop-steps.ts';
import { verb } from './verbs.ts';

/**
 * Saves the memory of a running or paused VM to disk and ends its VMM; a resume continues from there. Whatever fails before the
 * memory is on disk, the VM runs on.
 * @param options.endSessions whether open sessions may end
 * @param options.resumes whether the next daemon resumes it
 * @param options.why default: by a command
 * @throws WRONG_STATE, BUSY, UNSUPPORTED, NO_SPACE
 */
export function suspendVm(services: LifecycleServices, vm: Vm, options: SuspendOptions): OperationRecord {
  return verb(services, vm, 'suspend', async (operation, present) => {
    if (!decideAction(present, 'suspend')) return;
    const context = makeContext(services, present, operation);
    if (options.endSessions !== true) refuseInUse(present, services.vms.machines.get(present));
    await requireMeans(context);
    await writeMemory(context, operation, options.why ?? 'asked');
    await letGo(context, operation);
    if (options.resumes === true && context.vm.state === 'suspended') {
      context.update({ runtime: { bootId: services.world.processes.bootId(), ...context.vm.runtime, resumes: true } });
    }
  });
}

type SuspendOptions = { endSessions?: boolean; resumes?: boolean; why?: VmSleep['why'] };

/**
 * Suspends a VM that is unused; the next use wakes it.
 * @param reason called again once the VM's lock is held; if it returns none, nothing happens. The VM's events show it
 */
export function suspendUnused(services: LifecycleServices, vm: Vm, reason: (present: Vm) => string | undefined): OperationRecord {
  return verb(services, vm, 'suspend', async (operation, present) => {
    const why = isPowered(present.state) ? reason(present) : undefined;
    if (why === undefined) return;
    operation.log(why);
    const context = makeContext(services, present, operation);
    await requireMeans(context);
    // Its callers wait for it from here on.
    if (present.state === 'running') await standStill(context, operation, 'idle');
    await writeMemory(context, operation, 'idle');
    await letGo(context, operation);
  });
}

/** @throws UNSUPPORTED, WRONG_STATE, NO_SPACE */
async function requireMeans(context: VmContext): Promise<void> {
  const live = context.services.vms.machines.get(context.vm);
  snapshotsOf(context, live);
  refuseRescued(context.vm);
  await requireRoom(context, live);
}

async function writeMemory(context: VmContext, operation: OperationHandle, why: VmSleep['why']): Promise<void> {
  const { state } = context.vm;
  try {
    await runSteps({ steps: [writeSnapshot(why)], context, journal: operation.journal, signal: operation.signal });
  } catch (error) {
    const isUndone = !(error instanceof BangerError) || error.undoErrors.length === 0;
    if (!isUndone) context.move('error', { lastError: `it could not be suspended, and may stand still: ${messageOf(error)}` });
    else if (context.vm.state === 'suspending' && state === 'paused') await goOnPaused(context);
    else if (context.vm.state === 'suspending') context.move('running', { sleep: null, lastError: null });
    throw error;
  }
}

/** Once the memory is on disk, nothing stops the suspend any more. */
async function letGo(context: VmContext, operation: OperationHandle): Promise<void> {
  try {
    await runAll({ steps: stopSteps({ ask: false }), context, journal: operation.journal, signal: new AbortController().signal });
  } catch (error) {
    if (context.vm.state === 'suspending') context.move('error', { lastError: `its VMM could not be ended: ${messageOf(error)}` });
    throw error;
  }
}

/** The next start has other disks. */
function refuseRescued({ name, runtime }: Vm): void {
  if (runtime?.rescue !== true) return;
  throw new BangerError('WRONG_STATE', `VM ${name} runs a rescue system, which cannot be suspended`, {
    remedy: `banger vm stop ${name}`,
    details: { vm: name, rescue: true },
  });
}

function refuseInUse({ name }: Vm, { sessions }: LiveMachine): void {
  if (sessions === 0) return;
  throw new BangerError('BUSY', `VM ${name} has ${sessions} open session${sessions === 1 ? '' : 's'}, which a suspend would end`, {
    remedy: `banger vm suspend --yes ${name}`,
    details: { vm: name, sessions },
  });
}
