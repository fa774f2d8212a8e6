import type { LifecycleServices } from '../../context/services.ts';
import { makeContext } from '../../context/vm-context.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { decideAction } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import { standStill } from './pause-steps.ts';
import { verb } from './verbs.ts';

/** Stops the vCPUs of a running VM; what is open in it stands still with it. @throws WRONG_STATE, UNSUPPORTED */
export function pauseVm(services: LifecycleServices, vm: Vm): OperationRecord {
  return verb(services, vm, 'pause', async (operation, present) => {
    if (decideAction(present, 'pause')) await standStill(makeContext(services, present, operation), operation, 'asked');
  });
}

/**
 * Pauses a VM that is unused; the next use wakes it.
 * @param reason called again once the VM's lock is held; if it returns none, nothing happens. The VM's events show it
 */
export function pauseUnused(services: LifecycleServices, vm: Vm, reason: (present: Vm) => string | undefined): OperationRecord {
  return verb(services, vm, 'pause', async (operation, present) => {
    const why = present.state === 'running' ? reason(present) : undefined;
    if (why === undefined) return;
    operation.log(why);
    await standStill(makeContext(services, present, operation), operation, 'idle');
  });
}
