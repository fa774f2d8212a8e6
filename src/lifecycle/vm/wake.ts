import type { LifecycleServices } from '../../context/services.ts';
import { isAtRest } from '../../model/vm-state.ts';
import { startVm } from './verbs.ts';

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
