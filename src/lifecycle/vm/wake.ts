import type { LifecycleServices } from '../../context/services.ts';
import { BangerError, fromErrorBody } from '../../model/errors.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { wakesOnUse } from '../../model/vm-sleep.ts';
import { isAtRest } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import { resumeVm, startVm } from './verbs.ts';

/** The state of a VM for the HTTP front; `asleep`: a request may start it. */
type Wakefulness = 'starting' | 'stopped' | 'asleep' | 'unknown';

/**
 * @param mayWake whether a person may start a stopped VM from its page
 * @returns a function that finds a VM by name, and starts it if a person asked and the configuration permits
 */
export function wakeByName(services: LifecycleServices, mayWake: boolean): (name: string, wake: boolean) => Wakefulness {
  return (name, wake) => {
    const vm = services.vms.records.findByName(name);
    if (vm === undefined) return 'unknown';
    if (vm.state === 'starting' || vm.state === 'creating' || vm.state === 'running') return 'starting';
    if (!mayWake || !isAtRest(vm.state)) return 'stopped';
    if (!wake) return 'asleep';
    startVm(services, vm, {});
    return 'starting';
  };
}

/**
 * Wakes a VM that sleeps because nobody used it. Returns once it runs; any other VM stays as it is.
 * @throws what the resume throws; those who wait at its ports are then refused
 */
export async function wakeForUse(services: LifecycleServices, { id }: Pick<Vm, 'id'>): Promise<void> {
  for (;;) {
    const vm = services.vms.records.find(id);
    if (vm === undefined || !wakesOnUse(vm)) return;
    const { error, state } = await services.operations.settled((wakeOf(services, vm) ?? resumeVm(services, vm)).id);
    if (state === 'done') continue;
    services.vms.standIns.refuse(id);
    throw error === null ? new BangerError('CANCELLED', `the resume of ${vm.name} was cancelled`) : fromErrorBody(error);
  }
}

/** The same for a program that has connected; nobody but the log hears of a failure. */
export function wakeForCall(services: LifecycleServices, id: string): void {
  wakeForUse(services, { id }).catch((error: unknown) => {
    services.world.warn('a VM that somebody connected to did not wake', { vmId: id, reason: String(error) });
  });
}

/** @returns the operation that wakes the VM already */
function wakeOf({ operations }: LifecycleServices, { id }: Vm): OperationRecord | undefined {
  return operations.list().find((one) => one.vmId === id && one.verb === 'vm.resume' && one.state === 'running');
}
