import { BangerError } from '../../model/errors.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { decideAction, type VmAction } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import { adopt, again } from '../adopt.ts';
import { preflight } from '../health/preflight.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runAll, runSteps, type Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { removeVm } from './delete-steps.ts';
import { goOnPaused } from './pause-steps.ts';
import { goOn, resumeSteps } from './resume-steps.ts';
import { discardSnapshot } from './snapshot.ts';
import { startSteps } from './start-steps.ts';
import { stopSteps } from './stop-steps.ts';
import { knownProcess } from './vmm.ts';
import { given } from '../../lib/given.ts';
import { messageOf } from '../../lib/message-of.ts';

/**
 * Boots a stopped VM from its own disks; adopts a running one that this daemon does not hold; resumes a paused or suspended one.
 * @throws WRONG_STATE, NOT_FOUND
 */
export function startVm(
  services: LifecycleServices,
  vm: Vm,
  { waitForServices = true, rescue = false, discardMemory = false }: StartRequest & { discardMemory?: boolean },
): OperationRecord {
  return verb(services, vm, 'start', async (operation, present) => {
    if (!decideAction(present, 'start')) {
      if (rescue) refuseRescue(present);
      return void services.vms.machines.get(present);
    }
    if (present.state === 'paused') {
      if (rescue) refuseRescue(present);
      return await goOnPaused(makeContext(services, present, operation));
    }
    if (!rescue && (await isAdopted(services, present, operation))) return;
    await preflight(services, 'vm start', { vm: present });
    // The cause of the error may still exist, above all a VMM that would not end.
    if (present.state === 'error') await takeDown(services, present, operation, { ask: false, keepMemory: !discardMemory });
    const atRest = services.vms.records.find(vm.id) ?? present;
    if (atRest.state === 'suspended' && !discardMemory) {
      if (rescue) refuseSuspended(atRest);
      return await wake(services, atRest, operation);
    }
    if (atRest.state === 'suspended') await takeDown(services, atRest, operation, { ask: false });
    await bringUp(services, services.vms.records.find(vm.id) ?? present, operation, startSteps({ waitForServices, rescue }));
  });
}

/** Lets a paused VM go on, or resumes a suspended one where it stopped. @throws WRONG_STATE; in the operation SNAPSHOT_UNUSABLE with what has changed */
export function resumeVm(services: LifecycleServices, vm: Vm): OperationRecord {
  return verb(services, vm, 'resume', async (operation, present) => {
    if (!decideAction(present, 'resume')) return void services.vms.machines.get(present);
    if (present.state === 'paused') return await goOnPaused(makeContext(services, present, operation));
    await preflight(services, 'vm start', { vm: present });
    await wake(services, present, operation);
  });
}

async function wake(services: LifecycleServices, vm: Vm, operation: OperationHandle): Promise<void> {
  await goOn(await bringUp(services, vm, operation, resumeSteps()));
}

/** A boot from its disks would lose its memory, and nobody asked for that. */
function refuseSuspended({ name, state }: Vm): void {
  throw new BangerError('WRONG_STATE', `VM ${name} is suspended, and another boot would lose its memory`, {
    remedy: `banger vm resume ${name}`,
    details: { vm: name, state },
  });
}

type StartRequest = { waitForServices?: boolean; rescue?: boolean };

function refuseRescue(vm: Vm): void {
  if (vm.runtime?.rescue === true) return;
  throw new BangerError('WRONG_STATE', `VM ${vm.name} runs its own system`, {
    remedy: `banger vm restart --rescue ${vm.name}`,
    details: { vm: vm.name, state: vm.state, action: 'start' },
  });
}

/** A VM in the state `error` may still run, with a user's work in its memory. */
async function isAdopted(services: LifecycleServices, vm: Vm, operation: OperationHandle): Promise<boolean> {
  // A VM that is held here failed to stop: it is stopped first.
  if (vm.state !== 'error' || vm.startedAt === null || services.vms.machines.find(vm.id) !== undefined) return false;
  if ((await adopt(makeContext(services, vm, operation))) === 'ended') return false;
  services.vms.machines.get(vm);
  return true;
}

/**
 * A stop, a kill and a delete do not wait for a running start, but cancel it, which rolls it back. A delete also cancels a creation. A
 * restart is not cancelled while it lets the guest shut down.
 */
function interruptStart(services: LifecycleServices, vm: Vm, isDelete: boolean): void {
  const state = services.vms.records.find(vm.id)?.state;
  if (state !== 'starting' && !(isDelete && state === 'creating')) return;
  const isBegun = (o: OperationRecord): boolean => o.vmId === vm.id && o.state === 'running' && STARTING_VERBS.has(o.verb);
  for (const { id } of services.operations.list().filter(isBegun)) services.operations.cancel(id);
}

/** A build counts as the creation of its temporary VM. */
const STARTING_VERBS = new Set(['vm.create', 'vm.start', 'vm.resume', 'vm.restart', 'image.build']);

/** Lets the guest shut down by itself within the grace period, then ends it. A suspended VM loses its memory. */
export function stopVm(services: LifecycleServices, vm: Vm, options: { graceMs?: number }): OperationRecord {
  interruptStart(services, vm, false);
  return verb(services, vm, 'stop', async (operation, present) => {
    if (!decideAction(present, 'stop')) return;
    refuseUnasked(services, present);
    await takeDown(services, present, operation, { ask: true, ...options });
  });
}

/** A stop lets the guest shut down by itself, which the daemon cannot ask of a VM that it has not adopted. */
function refuseUnasked(services: LifecycleServices, vm: Vm): void {
  const reason = services.vms.machines.whyLeft(vm.id);
  if (reason === undefined) return;
  throw new BangerError(
    'WRONG_STATE',
    `VM ${vm.name} runs, but banger has not adopted it and cannot ask its guest to shut down: ${reason}`,
    {
      remedy: `banger vm kill ${vm.name}`,
      details: { vm: vm.name, adopted: false },
    },
  );
}

/**
 * Stops a VM that is unused.
 * @param reason called again once the VM's lock is held, after which no session can begin; if it returns none, nothing happens. The VM's
 * events show it.
 */
export function stopUnused(services: LifecycleServices, vm: Vm, reason: (present: Vm) => string | undefined): OperationRecord {
  return verb(services, vm, 'stop', async (operation, present) => {
    const why = reason(present);
    if (why === undefined || services.vms.machines.whyLeft(vm.id) !== undefined) return;
    operation.log(why);
    await takeDown(services, present, operation, { ask: true });
  });
}

/** Stop and start as one operation. A stopped VM is just started. */
export function restartVm(services: LifecycleServices, vm: Vm, options: StartRequest & { graceMs?: number }): OperationRecord {
  return verb(services, vm, 'restart', async (operation, present) => {
    refuseUnasked(services, present);
    if (present.state === 'suspended') refuseSuspended(present);
    // It is better to leave a VM running than to stop it if it then cannot start.
    await preflight(services, 'vm start', { vm: present });
    if (present.state === 'running' || decideAction(present, 'stop')) {
      await takeDown(services, present, operation, { ask: true, ...given({ graceMs: options.graceMs }) });
    }
    const stopped = services.vms.records.find(vm.id) ?? present;
    await bringUp(
      services,
      stopped,
      operation,
      startSteps({ waitForServices: options.waitForServices ?? true, rescue: options.rescue ?? false }),
    );
  });
}

/**
 * Ends the VMM without asking the guest. Another signal than SIGKILL is only sent to the VMM, which may ignore it.
 */
export function killVm(services: LifecycleServices, vm: Vm, options: { signal?: NodeJS.Signals }): OperationRecord {
  interruptStart(services, vm, false);
  return verb(services, vm, 'kill', async (operation, present) => {
    if (!decideAction(present, 'kill')) return;
    const process = knownProcess(services, present);
    if (options.signal !== undefined && options.signal !== 'SIGKILL' && process !== undefined) {
      services.world.processes.signalProcess(process, options.signal);
    } else {
      await takeDown(services, present, operation, { ask: false });
    }
  });
}

/** Removes the VM with everything that it has; works in every state. */
export function deleteVm(services: LifecycleServices, vm: Vm): OperationRecord {
  interruptStart(services, vm, true);
  return verb(services, vm, 'delete', async (operation, present) => {
    decideAction(present, 'delete');
    await removeVm({ context: makeContext(services, present, operation), journal: operation.journal, signal: operation.signal });
  });
}

/** Verbs that work whether or not the VM can be adopted. */
const WITHOUT_GUEST = new Set(['kill', 'delete']);

/** Begins an operation on one VM: waits for its turn, then gets the VM's present record. */
export function verb(
  services: LifecycleServices,
  vm: Vm,
  action: Exclude<VmAction, 'exec'> | 'restart',
  work: (operation: OperationHandle, present: Vm) => Promise<void>,
): OperationRecord {
  // A verb that decides about the VM replaces the reboot for which the VM waits.
  if (action !== 'set' && services.vms.reboots.cancel(vm.id)) services.vms.records.update(vm.id, { lastError: null });
  return services.operations.begin(`vm.${action}`, vm, (operation) =>
    services.vms.locks.hold(vm.id, operation.signal, async () => {
      const present = WITHOUT_GUEST.has(action) ? services.vms.records.find(vm.id) : await again(services, vm.id);
      // The VM was deleted during the wait: a delete has nothing left to do, and no other verb can act.
      if (present !== undefined) await work(operation, present);
    }),
  );
}

async function bringUp(services: LifecycleServices, vm: Vm, operation: OperationHandle, steps: Step<VmContext>[]): Promise<VmContext> {
  const context = makeContext(services, vm, operation);
  try {
    await runSteps({ steps, context, journal: operation.journal, signal: operation.signal });
    return context;
  } catch (error) {
    const isUndone = !(error instanceof BangerError) || error.undoErrors.length === 0;
    const lastError = operation.signal.aborted ? null : `its last start failed: ${messageOf(error)}`;
    if (isUndone) context.update({ lastError });
    else context.move('error', { lastError: `its start could not be undone: ${messageOf(error)}` });
    throw error;
  }
}

async function takeDown(
  services: LifecycleServices,
  vm: Vm,
  operation: OperationHandle,
  { keepMemory = false, ...options }: { ask: boolean; graceMs?: number; keepMemory?: boolean },
): Promise<void> {
  const context = makeContext(services, vm, operation);
  context.move('stopping');
  try {
    if (!keepMemory) await discardSnapshot(context);
    await runAll({ steps: stopSteps(options), context, journal: operation.journal, signal: operation.signal });
  } catch (error) {
    // All steps were tried; a VM whose VMM has ended is stopped, whatever else failed.
    if (context.vm.state === 'stopping') context.move('error', { lastError: `it could not be stopped: ${messageOf(error)}` });
    throw error;
  }
}
