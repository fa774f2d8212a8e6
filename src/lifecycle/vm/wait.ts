import type { LifecycleServices } from '../../context/services.ts';
import type { AgentHealth } from '../../guest/protocol.ts';
import type { InitSystem } from '../../model/image.ts';
import { makeContext } from '../../context/vm-context.ts';
import { given } from '../../lib/given.ts';
import { BangerError } from '../../model/errors.ts';
import { decideAction, isAtRest } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';

type Goal = 'agent' | 'ssh' | 'services' | 'running' | 'paused' | 'stopped' | 'suspended';

/** The interval of questions to a guest, which sends no events. */
const ASK_AGAIN_MS = 200;
/** setTimeout fires at once for longer delays. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/**
 * Waits until the VM has reached `goal.for`. Changes of its record and of the held machine end a pause early; only a running guest that is
 * not ready yet is polled.
 * @returns the VM at that moment
 * @throws TIMEOUT; NOT_FOUND if it is deleted; WRONG_STATE if it has stopped; BOOT_FAILED; GUEST_COMMAND_NOT_FOUND for `ssh` without a server; the errors of the guest agent
 */
export async function waitForVm(
  services: LifecycleServices,
  vm: Vm,
  goal: { for: Goal; timeoutMs: number },
  signal: AbortSignal,
): Promise<Vm> {
  const { records, machines } = services.vms;
  const deadline = performance.now() + goal.timeoutMs;
  let change = Promise.withResolvers<void>();
  const note = (vmId: string): void => void (vmId === vm.id && change.resolve());
  const leave = [records.onChange(note), machines.onChange(note)];
  try {
    for (;;) {
      // Created before the VM is examined, so that no change in between is missed.
      change = Promise.withResolvers();
      const present = records.find(vm.id);
      if (present === undefined) throw new BangerError('NOT_FOUND', `the VM ${vm.name} was deleted`);
      if (await isReached(services, present, goal.for)) return present;
      const isPast = isAtRest(present.state) ? goal.for !== present.state : present.state === 'paused' && needsGuest(goal.for);
      if (isPast) decideAction(present, 'exec');
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw late(present, goal);
      const mustAsk = isAsked(services, present, goal.for);
      await changeOrPause(change.promise, Math.min(leftMs, mustAsk ? ASK_AGAIN_MS : MOST_TIMER_MS), signal);
    }
  } finally {
    for (const stop of leave) stop();
  }
}

function late({ name, state }: Vm, goal: { for: Goal; timeoutMs: number }): BangerError {
  return new BangerError('TIMEOUT', `VM ${name} is ${state}; it was not "${goal.for}" within ${goal.timeoutMs} ms`, {
    remedy: `banger vm health ${name}`,
  });
}

async function changeOrPause(change: Promise<void>, pauseMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const pause = Promise.withResolvers<void>();
  const giveUp = (): void => pause.reject(signal.reason);
  const timer = setTimeout(pause.resolve, pauseMs);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    await Promise.race([change, pause.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
  }
}

/** @returns whether a VM whose guest does not run cannot be there */
export function needsGuest(goal: Goal): boolean {
  return goal !== 'paused' && goal !== 'stopped' && goal !== 'suspended';
}

/** Whether the guest knows more about the goal than this daemon. */
function isAsked({ vms: { machines } }: LifecycleServices, vm: Vm, goal: Goal): boolean {
  return needsGuest(goal) && goal !== 'running' && vm.state === 'running' && machines.find(vm.id) !== undefined;
}

async function isReached(services: LifecycleServices, vm: Vm, goal: Goal): Promise<boolean> {
  if (!needsGuest(goal)) return vm.state === goal;
  const live = services.vms.machines.find(vm.id);
  if (vm.state !== 'running' || live === undefined) return false;
  if (goal === 'running') return true;
  if (goal === 'ssh' && vm.runtime?.hasSshServer === false) throw noSshServer(vm.name);
  const { personalized, init } = await live.agent.healthz();
  if (goal !== 'services') return personalized;
  if (init === 'maintenance') {
    throw new BangerError('BOOT_FAILED', gaveUp(vm.name), { remedy: `banger vm exec ${vm.name} -- journalctl -b -p warning --no-pager` });
  }
  const listening = new Set((await live.agent.ports()).map((port) => port.port));
  const { servicePorts, initSystem } = makeContext(services, vm).image;
  return isInitUp(init, initSystem) && servicePorts.every((port) => listening.has(port));
}

/** @returns whether the guest's init has started all that it can. If systemd does not answer, it has not even begun; others may tell nothing */
export function isInitUp(init: AgentHealth['init'], initSystem: InitSystem): boolean {
  return initSystem === 'systemd' ? init === 'running' || init === 'degraded' : init !== 'starting';
}

export function noSshServer(name: string, cause?: Error): BangerError {
  return new BangerError('GUEST_COMMAND_NOT_FOUND', `the image of ${name} has no SSH server`, {
    remedy: `banger vm exec ${name} -- sh`,
    ...given({ cause }),
  });
}

/** For example, /etc/fstab names a missing disk; nothing continues by itself then. */
export function gaveUp(name: string): string {
  return `the system of ${name} gave up, and waits in its rescue or emergency mode`;
}
