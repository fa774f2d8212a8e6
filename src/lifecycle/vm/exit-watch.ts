import type { Machine, MachineExit } from '../../drivers/hypervisor/contract.ts';
import { isHidden } from '../../model/hidden.ts';
import type { Vm } from '../../model/vm.ts';
import { runAll } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext } from '../../context/vm-context.ts';
import { REBOOT_LIMIT } from '../../context/reboots.ts';
import { discardHeld } from '../hidden.ts';
import { stopSteps } from './stop-steps.ts';
import { faultOfDisks, lastWords } from './last-words.ts';
import { startVm } from './verbs.ts';
import { messageOf } from '../../lib/message-of.ts';

/** Of the console: a panic prints a dozen lines after its cause. */
const LAST_LINES = 40;

/** Cleans up after a VMM that ended without a command, and boots the guest again if it asked for a reboot. */
export async function handleExit(services: LifecycleServices, vmId: string, machine: Machine, exit: MachineExit): Promise<void> {
  try {
    const never = new AbortController().signal;
    const wasUnasked = await services.vms.locks.hold(vmId, never, () => settleExit(services, vmId, machine, exit));
    const vm = services.vms.records.find(vmId);
    if (!wasUnasked || exit.cause !== 'guest-reset' || vm === undefined) return;
    // A command that came meanwhile takes precedence.
    if (isDecided(services, vmId)) return;
    const delayMs = services.vms.reboots.delayMs(vmId);
    if (delayMs === 0) return void startVm(services, vm, {});
    const fault = faultOfDisks(vm, await lastWords(makeContext(services, vm), LAST_LINES));
    if (delayMs === undefined) refuseReboot(services, vm, fault);
    else bootLater(services, vm, { delayMs, fault });
  } catch (error) {
    services.world.warn('cleaning up after a VMM failed', { vmId, reason: messageOf(error) });
  }
}

const DECIDING_VERBS = new Set(['vm.start', 'vm.resume', 'vm.stop', 'vm.restart', 'vm.kill', 'vm.delete']);

/** @returns whether an operation that decides about the VM waits for its turn */
function isDecided({ operations }: LifecycleServices, vmId: string): boolean {
  return operations.list().some((one) => one.vmId === vmId && one.state === 'running' && DECIDING_VERBS.has(one.verb));
}

/** Until then the VM is stopped, and says why. */
function bootLater(services: LifecycleServices, vm: Vm, { delayMs, fault }: { delayMs: number; fault: string | undefined }): void {
  const at = new Date(services.world.clock.now().getTime() + delayMs).toISOString();
  const why = fault === undefined ? '' : ` (${fault}: banger vm restart --rescue ${vm.name})`;
  services.vms.records.update(vm.id, { lastError: `it reboots again and again${why}, so its next boot waits until ${at}` });
  services.world.warn('a VM that reboots again and again waits before it is booted', { vm: vm.name, delayMs });
  services.vms.reboots.schedule(vm.id, delayMs, () => {
    try {
      const present = services.vms.records.find(vm.id);
      if (present?.state === 'stopped') startVm(services, present, {});
    } catch (error) {
      services.world.warn('a VM that had rebooted could not be booted', { vm: vm.name, reason: messageOf(error) });
    }
  });
}

/** Leaves VMs that wait for their next boot stopped, and says so: the next daemon does not know that they waited. */
export function forgetReboots(services: LifecycleServices): void {
  for (const id of services.vms.reboots.end()) {
    const name = services.vms.records.find(id)?.name;
    if (name === undefined) continue;
    services.vms.records.update(id, { lastError: `it rebooted, and the daemon ended before the next boot: banger vm start ${name}` });
  }
}

/** A guest in a loop of reboots stays stopped, and says why. */
function refuseReboot(services: LifecycleServices, vm: Vm, fault: string | undefined): void {
  const minutes = REBOOT_LIMIT.windowMs / 60_000;
  const look = fault === undefined ? `see banger vm logs --serial ${vm.name}` : `${fault}; banger vm start --rescue ${vm.name}`;
  const lastError = `it rebooted itself more than ${REBOOT_LIMIT.count} times in ${minutes} minutes, and so it stays stopped: ${look}`;
  services.vms.records.update(vm.id, { lastError });
  services.world.warn('a VM that reboots in a loop stays stopped', { vm: vm.name });
}

/** @returns whether this end was not part of a stop, kill or delete */
async function settleExit(services: LifecycleServices, vmId: string, machine: Machine, exit: MachineExit): Promise<boolean> {
  const vm = services.vms.records.find(vmId);
  if (vm === undefined || services.vms.machines.find(vmId)?.machine !== machine) return false;
  // The user or the next daemon tries an interrupted deletion again; its disks may be gone, so it does not become stopped.
  if (vm.state === 'deleting') return false;
  // Whoever creates it notices, and removes it or tries another way.
  if (vm.state === 'creating') return false;
  if (isHidden(vm)) {
    services.world.warn("one of banger's own VMMs has ended", { vm: vm.name, cause: exit.cause, detail: exit.detail });
    await discardHeld(services, vm);
    return false;
  }
  const isOrderly = exit.cause === 'guest-poweroff' || exit.cause === 'guest-reset' || exit.cause === 'host-request';
  services.world.warn('a VMM has ended', { vm: vm.name, cause: exit.cause, detail: exit.detail });
  await runAll({
    steps: stopSteps({ ask: false, reason: { lastError: isOrderly ? null : `the VM ended unexpectedly: ${exit.detail}` } }),
    context: makeContext(services, vm),
    journal: () => undefined,
    signal: new AbortController().signal,
  });
  return true;
}
