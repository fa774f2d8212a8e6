import type { LifecycleServices } from '../../context/services.ts';
import type { Vm } from '../../model/vm.ts';
import { wakeForUse } from './wake.ts';

/**
 * Keeps a VM from being paused, suspended or stopped for idleness, and wakes it if it sleeps for that.
 * @param options.forMs for how long; null: until it is released
 * @returns the VM with its lease
 */
export async function keepAwake(services: LifecycleServices, vm: Vm, { forMs }: { forMs: number | null }): Promise<Vm> {
  const until = forMs === null ? null : new Date(services.world.clock.now().getTime() + forMs).toISOString();
  services.vms.records.update(vm.id, { keepAwake: { until } });
  await wakeForUse(services, vm);
  return services.vms.records.find(vm.id) ?? vm;
}
