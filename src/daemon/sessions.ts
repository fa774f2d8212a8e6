import { BangerError } from '../model/errors.ts';
import type { LiveMachine } from '../lifecycle/machines.ts';
import type { Vm } from '../model/vm.ts';
import { decideAction } from '../model/vm-state.ts';
import type { DaemonServices } from './services.ts';

/** Kept for the daemon: the watch of ports, and whatever asks, stops or looks at a VM that is full of sessions. */
const RESERVED_CHANNELS = 4;

/**
 * Marks a VM as used while `work` runs; open sessions keep it from being taken for idle (3.9).
 * @throws WRONG_STATE when the VM does not run, BUSY when it has as many sessions as it can have
 */
export async function withSession<T>(services: DaemonServices, vm: Vm, work: (live: LiveMachine) => Promise<T>): Promise<T> {
  decideAction(vm, 'exec');
  const live = services.machines.get(vm);
  const limit = live.machine.channelCount - RESERVED_CHANNELS;
  if (live.sessions >= limit) {
    throw new BangerError('BUSY', `VM ${vm.name} has ${limit} sessions open, which is as many as it can have`, {
      remedy: `end one of them; ports of the guest are reached without a session: banger vm ports ${vm.name}`,
    });
  }
  live.sessions++;
  touch(services, vm);
  try {
    return await work(live);
  } finally {
    live.sessions--;
    touch(services, vm);
  }
}

/** At both ends: a session that was long ago opened and is just over was a use. The VM may be gone by then. */
function touch(services: DaemonServices, vm: Vm): void {
  if (services.vms.find(vm.id) !== undefined) services.vms.update(vm.id, { lastUsedAt: services.now().toISOString() });
}
