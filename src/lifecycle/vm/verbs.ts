import type { OperationRecord } from '../../model/operation.ts';
import { decideAction, type VmAction } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import type { OperationHandle } from '../operations.ts';
import { runAll, runSteps, type Step } from '../pipeline.ts';
import type { LifecycleServices } from '../services.ts';
import { makeContext, type VmContext } from '../vm-context.ts';
import { deleteSteps } from './delete-steps.ts';
import { startSteps } from './start-steps.ts';
import { stopSteps } from './stop-steps.ts';

/** Boots a stopped VM from its own disks. Nothing happens to one that runs. @throws WRONG_STATE, NOT_FOUND */
export function startVm(services: LifecycleServices, vm: Vm, options: { waitForServices?: boolean }): OperationRecord {
  const waitForServices = options.waitForServices ?? true;
  return verb(services, vm, 'start', async (operation, present) => {
    if (decideAction(present, 'start')) await build(services, present, operation, startSteps({ waitForServices }));
  });
}

/** Lets the guest end by itself within the grace period, then ends it. */
export function stopVm(services: LifecycleServices, vm: Vm, options: { graceMs?: number }): OperationRecord {
  return verb(services, vm, 'stop', async (operation, present) => {
    if (decideAction(present, 'stop')) await takeDown(services, present, operation, { ask: true, ...options });
  });
}

/** Stop and start as one operation. A stopped VM is just started. */
export function restartVm(services: LifecycleServices, vm: Vm, options: { graceMs?: number; waitForServices?: boolean }): OperationRecord {
  return verb(services, vm, 'restart', async (operation, present) => {
    if (present.state === 'running' || decideAction(present, 'stop')) {
      await takeDown(services, present, operation, { ask: true, ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }) });
    }
    const stopped = services.vms.find(vm.id) ?? present;
    await build(services, stopped, operation, startSteps({ waitForServices: options.waitForServices ?? true }));
  });
}

/**
 * Ends the VMM without asking the guest. Another signal than SIGKILL is only sent to the VMM, which may ignore it.
 */
export function killVm(services: LifecycleServices, vm: Vm, options: { signal?: NodeJS.Signals }): OperationRecord {
  return verb(services, vm, 'kill', async (operation, present) => {
    if (!decideAction(present, 'kill')) return;
    const process = services.machines.find(vm.id)?.machine.process;
    if (options.signal !== undefined && options.signal !== 'SIGKILL' && process !== undefined) {
      services.host.signalProcess(process, options.signal);
    } else {
      await takeDown(services, present, operation, { ask: false });
    }
  });
}

/** Removes the VM with everything it has; works in every state. */
export function deleteVm(services: LifecycleServices, vm: Vm): OperationRecord {
  // A creation in progress is not waited for: cancelled, it removes the VM itself.
  const creation = services.operations.list().find((o) => o.vmId === vm.id && o.verb === 'vm.create' && o.state === 'running');
  if (creation !== undefined) services.operations.cancel(creation.id);
  return verb(services, vm, 'delete', async (operation, present) => {
    decideAction(present, 'delete');
    const context = makeContext(services, present, operation);
    await runAll({ steps: deleteSteps(), context, journal: operation.journal, signal: operation.signal });
  });
}

/** Begins an operation on one VM: waits for its turn, then looks at the VM as it is by then. */
function verb(
  services: LifecycleServices,
  vm: Vm,
  action: Exclude<VmAction, 'exec' | 'set'> | 'restart',
  work: (operation: OperationHandle, present: Vm) => Promise<void>,
): OperationRecord {
  return services.operations.begin(`vm.${action}`, vm, (operation) =>
    services.locks.hold(vm.id, operation.signal, async () => {
      const present = services.vms.find(vm.id);
      // Gone while it waited: what delete wants, and nothing that another verb could act on.
      if (present !== undefined) await work(operation, present);
    }),
  );
}

function build(services: LifecycleServices, vm: Vm, operation: OperationHandle, steps: Step<VmContext>[]): Promise<void> {
  return runSteps({ steps, context: makeContext(services, vm, operation), journal: operation.journal, signal: operation.signal });
}

async function takeDown(
  services: LifecycleServices,
  vm: Vm,
  operation: OperationHandle,
  options: { ask: boolean; graceMs?: number },
): Promise<void> {
  const context = makeContext(services, vm, operation);
  context.update({ state: 'stopping' });
  await runAll({ steps: stopSteps(options), context, journal: operation.journal, signal: operation.signal });
}
