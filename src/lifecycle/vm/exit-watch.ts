import type { Machine, MachineExit } from '../../drivers/hypervisor/contract.ts';
import type { Vm } from '../../model/vm.ts';
import { runAll } from '../pipeline.ts';
import type { LifecycleServices } from '../services.ts';
import { makeContext } from '../vm-context.ts';
import { REBOOT_LIMIT } from '../reboot-limit.ts';
import { stopSteps } from './stop-steps.ts';
import { startVm } from './verbs.ts';

/** Cleans up after a VMM that ended although nobody here asked for it, and boots again a guest that asked for a reboot. */
export async function handleExit(services: LifecycleServices, vmId: string, machine: Machine, exit: MachineExit): Promise<void> {
  try {
    const never = new AbortController().signal;
    const wasUnasked = await services.locks.hold(vmId, never, () => settleExit(services, vmId, machine, exit));
    const vm = services.vms.find(vmId);
    if (!wasUnasked || exit.cause !== 'guest-reset' || vm === undefined) return;
    if (services.reboots.allows(vmId)) startVm(services, vm, {});
    else refuseReboot(services, vm);
  } catch (error) {
    services.warn('cleaning up after a VMM failed', { vmId, reason: error instanceof Error ? error.message : String(error) });
  }
}

/** A guest in a loop of reboots stays stopped, and says why. */
function refuseReboot(services: LifecycleServices, vm: Vm): void {
  const minutes = REBOOT_LIMIT.windowMs / 60_000;
  const lastError = `it rebooted itself more than ${REBOOT_LIMIT.count} times in ${minutes} minutes, and so it stays stopped: see banger vm logs --serial ${vm.name}`;
  services.vms.update(vm.id, { lastError });
  services.warn('a VM that reboots in a loop stays stopped', { vm: vm.name });
}

/** @returns whether this end was not part of a stop, kill or delete */
async function settleExit(services: LifecycleServices, vmId: string, machine: Machine, exit: MachineExit): Promise<boolean> {
  const vm = services.vms.find(vmId);
  if (vm === undefined || services.machines.find(vmId)?.machine !== machine) return false;
  // A deletion that failed half-way is tried again by the user or the next daemon; its disks may be gone, so it is not stopped.
  if (vm.state === 'deleting') return false;
  const isOrderly = exit.cause === 'guest-poweroff' || exit.cause === 'guest-reset' || exit.cause === 'host-request';
  services.warn('a VMM has ended', { vm: vm.name, cause: exit.cause, detail: exit.detail });
  await runAll({
    steps: stopSteps({ ask: false, reason: { lastError: isOrderly ? null : `the VM ended unexpectedly: ${exit.detail}` } }),
    context: makeContext(services, vm),
    journal: () => undefined,
    signal: new AbortController().signal,
  });
  return true;
}
