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
import { startSteps } from './start-steps.ts';
import { stopSteps } from './stop-steps.ts';
import { knownProcess } from './vmm.ts';
import { given } from '../../lib/given.ts';

/** Boots a stopped VM from its own disks; adopts one that runs and is not held. @throws WRONG_STATE, NOT_FOUND */
export function startVm(services: LifecycleServices, vm: Vm, { waitForServices = true, rescue = false }: StartRequest): OperationRecord {
  return verb(services, vm, 'start', async (operation, present) => {
    if (!decideAction(present, 'start')) {
      if (rescue) refuseRescue(present);
      return void services.vms.machines.get(present);
    }
    if (!rescue && (await isAdopted(services, present, operation))) return;
    await preflight(services, 'vm start', { vm: present });
    // What made it an error may still be there, a VMM that would not end above all.
    if (present.state === 'error') await takeDown(services, present, operation, { ask: false });
    await build(services, services.vms.records.find(vm.id) ?? present, operation, startSteps({ waitForServices, rescue }));
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

/** A VM that an error was written down for may run all the same, with somebody's work in its memory. */
async function isAdopted(services: LifecycleServices, vm: Vm, operation: OperationHandle): Promise<boolean> {
  // One that is held was to be stopped and did not end: that is done first.
  if (vm.state !== 'error' || vm.startedAt === null || services.vms.machines.find(vm.id) !== undefined) return false;
  if ((await adopt(makeContext(services, vm, operation))) === 'ended') return false;
  services.vms.machines.get(vm);
  return true;
}

/**
 * A start is not waited for by those who want the opposite: cancelled, it rolls back. Nor is a creation by a delete.
 * A restart is left alone while it lets the guest end.
 */
function interruptStart(services: LifecycleServices, vm: Vm, isDelete: boolean): void {
  const state = services.vms.records.find(vm.id)?.state;
  if (state !== 'starting' && !(isDelete && state === 'creating')) return;
  const isBegun = (o: OperationRecord): boolean => o.vmId === vm.id && o.state === 'running' && STARTING_VERBS.has(o.verb);
  for (const { id } of services.operations.list().filter(isBegun)) services.operations.cancel(id);
}

/** A build is its temporary VM's creation. */
const STARTING_VERBS = new Set(['vm.create', 'vm.start', 'vm.restart', 'image.build']);

/** Lets the guest end by itself within the grace period, then ends it. */
export function stopVm(services: LifecycleServices, vm: Vm, options: { graceMs?: number }): OperationRecord {
  interruptStart(services, vm, false);
  return verb(services, vm, 'stop', async (operation, present) => {
    if (!decideAction(present, 'stop')) return;
    refuseUnasked(services, present);
    await takeDown(services, present, operation, { ask: true, ...options });
  });
}

/** Who stops a VM wants its guest to end by itself, which one that is not adopted cannot be asked for. */
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
 * Stops a VM that nobody asked to be stopped.
 * @param reason asked once more when it is the VM's turn, at the moment from which no session can begin any more; without
 *   one nothing happens. The VM's events tell it.
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
    // Better a VM that goes on than one that was stopped and cannot start.
    await preflight(services, 'vm start', { vm: present });
    if (present.state === 'running' || decideAction(present, 'stop')) {
      await takeDown(services, present, operation, { ask: true, ...given({ graceMs: options.graceMs }) });
    }
    const stopped = services.vms.records.find(vm.id) ?? present;
    await build(
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

/** Removes the VM with everything it has; works in every state. */
export function deleteVm(services: LifecycleServices, vm: Vm): OperationRecord {
  interruptStart(services, vm, true);
  return verb(services, vm, 'delete', async (operation, present) => {
    decideAction(present, 'delete');
    await removeVm({ context: makeContext(services, present, operation), journal: operation.journal, signal: operation.signal });
  });
}

/** What is done to a VM whether or not it can be adopted. */
const WITHOUT_GUEST = new Set(['kill', 'delete']);

/** Begins an operation on one VM: waits for its turn, then looks at the VM as it is by then. */
export function verb(
  services: LifecycleServices,
  vm: Vm,
  action: Exclude<VmAction, 'exec'> | 'restart',
  work: (operation: OperationHandle, present: Vm) => Promise<void>,
): OperationRecord {
  // Whoever says what becomes of a VM that waits for its reboot decides it.
  if (action !== 'set' && services.vms.reboots.cancel(vm.id)) services.vms.records.update(vm.id, { lastError: null });
  return services.operations.begin(`vm.${action}`, vm, (operation) =>
    services.vms.locks.hold(vm.id, operation.signal, async () => {
      const present = WITHOUT_GUEST.has(action) ? services.vms.records.find(vm.id) : await again(services, vm.id);
      // Gone while it waited: what delete wants, and nothing that another verb could act on.
      if (present !== undefined) await work(operation, present);
    }),
  );
}

async function build(services: LifecycleServices, vm: Vm, operation: OperationHandle, steps: Step<VmContext>[]): Promise<void> {
  const context = makeContext(services, vm, operation);
  try {
    await runSteps({ steps, context, journal: operation.journal, signal: operation.signal });
  } catch (error) {
    const isUndone = !(error instanceof BangerError) || error.undoErrors.length === 0;
    const lastError = operation.signal.aborted ? null : `its last start failed: ${textOf(error)}`;
    if (isUndone) context.update({ lastError });
    else context.move('error', { lastError: `its start could not be undone: ${textOf(error)}` });
    throw error;
  }
}

async function takeDown(
  services: LifecycleServices,
  vm: Vm,
  operation: OperationHandle,
  options: { ask: boolean; graceMs?: number },
): Promise<void> {
  const context = makeContext(services, vm, operation);
  context.move('stopping');
  try {
    await runAll({ steps: stopSteps(options), context, journal: operation.journal, signal: operation.signal });
  } catch (error) {
    // The rest was tried all the same; a VM whose VMM ended is stopped, whatever else failed.
    if (context.vm.state === 'stopping') context.move('error', { lastError: `it could not be stopped: ${textOf(error)}` });
    throw error;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
