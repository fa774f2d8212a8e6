import type { LifecycleServices } from '../../context/services.ts';
import { startVm } from './verbs.ts';

/** How it is with a VM of this name, for who asks for its web page; `asleep`: it would be started when asked to. */
type Wakefulness = 'starting' | 'stopped' | 'asleep' | 'unknown';

/**
 * @param mayWake whether a person may start a VM that is stopped from its page
 * @returns what looks at a VM by its name, and starts it when it is to be woken and may
 */
export function wakeByName(services: LifecycleServices, mayWake: boolean): (name: string, wake: boolean) => Wakefulness {
  return (name, wake) => {
    const vm = services.vms.records.findByName(name);
    if (vm === undefined) return 'unknown';
    if (vm.state === 'starting' || vm.state === 'creating' || vm.state === 'running') return 'starting';
    if (!mayWake || vm.state !== 'stopped') return 'stopped';
    if (!wake) return 'asleep';
    startVm(services, vm, {});
    return 'starting';
  };
}
