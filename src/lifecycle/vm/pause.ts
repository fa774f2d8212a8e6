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
