import { formatDuration } from '../lib/duration.ts';
import { addressesOf } from '../model/network.ts';
import type { Vm } from '../model/vm.ts';
import type { LifecycleServices } from '../context/services.ts';
import type { Timer } from '../context/timer.ts';
import { messageOf } from '../lib/message-of.ts';

/** The longest delay of setTimeout; a VM that is due later is checked once more in between. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

export type AutoStopOptions = {
  services: Pick<LifecycleServices, 'vms' | 'world'>;
  /** A VM that was not used for this long is stopped; null: never. */
  staleAfterMs: number | null;
  timer: Timer;
  /** Stops the VM, and returns when it has stopped. @param reason called again once the VM's lock is held */
  stop(vm: Vm, reason: (present: Vm) => string | undefined): Promise<unknown>;
  log(message: string, facts: Record<string, unknown>): void;
};

/** Stops unused VMs. */
export type AutoStop = {
  /** Call when a VM may have begun to run. Costs nothing if the timer runs already, or if auto-stop is off. */
  arm(): void;
  end(): void;
};

/**
 * One timer, for the VM that is due next. Use can only postpone a VM's time, so no event is needed: a VM that was used meanwhile gets its
 * new time when the timer fires.
 */
export function createAutoStop({ services, staleAfterMs, timer, stop, log }: AutoStopOptions): AutoStop {
  // Uses without a daemon are unknown, so every VM gets a full period from here on.
  const bornMs = services.world.clock.now().getTime();
  let disarm: (() => void) | undefined;
  let ended = false;

  const arm = (): void => {
    if (staleAfterMs === null || disarm !== undefined || ended) return;
    const running = services.vms.records.list().filter((vm) => vm.state === 'running');
    if (running.length === 0) return;
    // A VM that is due and still runs did not stop; it is retried, but only after another period.
    const delays = running
      .map((vm) => dueAt(vm, staleAfterMs) - services.world.clock.now().getTime())
      .map((ms) => (ms > 0 ? ms : staleAfterMs));
    disarm = timer(() => void wake(staleAfterMs), Math.min(...delays, LONGEST_DELAY_MS));
  };

  /** With an open session, the VM is due a full period after the session's end, which is at least a full period from now. */
  const dueAt = (vm: Vm, periodMs: number): number => {
    const now = services.world.clock.now().getTime();
    if ((services.vms.machines.find(vm.id)?.sessions ?? 0) > 0) return now + periodMs;
    return Math.max(bornMs, Date.parse(vm.lastUsedAt ?? vm.createdAt)) + periodMs;
  };

  const wake = async (periodMs: number): Promise<void> => {
    try {
      await touchConnected();
      const stale = services.vms.records.list().filter((vm) => isStale(vm, periodMs));
      await Promise.all(stale.map((vm) => stop(vm, (present) => reasonOf(present, periodMs))));
    } catch (error) {
      services.world.warn('the search for unused VMs failed', { reason: messageOf(error) });
    }
    disarm = undefined;
    arm();
  };

  /** The daemon does not see the data of forwarded connections, so it has to look for them. */
  const touchConnected = async (): Promise<void> => {
    const connected = await services.world.processes.connectedAddresses();
    for (const vm of services.vms.records.list()) {
      const address = services.vms.drivers.addressOnHost(vm.runtime, addressesOf(vm.networkIndex));
      if (vm.state === 'running' && connected.has(address))
        services.vms.records.update(vm.id, { lastUsedAt: services.world.clock.now().toISOString() });
    }
  };

  const isStale = (vm: Vm, periodMs: number): boolean =>
    vm.state === 'running' && dueAt(vm, periodMs) <= services.world.clock.now().getTime();

  const reasonOf = (vm: Vm, periodMs: number): string | undefined => {
    if (!isStale(vm, periodMs)) return undefined;
    const reason = `${vm.name} was not used for ${formatDuration(periodMs)} (auto_stop_stale_after): it is stopped`;
    log(reason, { vm: vm.name, lastUsedAt: vm.lastUsedAt });
    return reason;
  };

  return {
    arm,
    end() {
      ended = true;
      disarm?.();
    },
  };
}
