import type { Timer } from '../../context/timer.ts';
import { messageOf } from '../../lib/message-of.ts';
import type { Vm } from '../../model/vm.ts';
import { reasonOf, type Tier, wakeTime } from './tiers.ts';
import { createUse, isWatched, type Use, type UseServices } from './use.ts';

/** The longest delay of setTimeout; a VM that is due later is checked once more in between. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;
/** The host's list of connections shows one for a minute after its end, so this often nothing is missed. */
const LOOK_MS = 30_000;

export type IdleWatchOptions = {
  services: UseServices;
  /** A VM that was not used for this long is stopped; null: never. */
  staleAfterMs: number | null;
  timer: Timer;
  /**
   * Puts the VM to sleep, or ends it; returns when that is over.
   * @param reason called again once the VM's lock is held; undefined: it is in use again
   */
  rest(tier: Tier, vm: Vm, reason: (present: Vm) => string | undefined): Promise<unknown>;
  /** Wakes a VM whose time has come. */
  wake(vm: Vm): Promise<unknown>;
  log(message: string, facts: Record<string, unknown>): void;
};

/** Puts unused VMs to sleep or stops them, and wakes sleeping ones by their schedule. */
export type IdleWatch = {
  /** Call when something about a VM may have changed. Costs nothing as long as no VM may be put to rest or woken. */
  arm(): void;
  end(): void;
};

/** @returns in how long the VM must be looked at */
function delaysOf(use: Use, vm: Vm): number[] {
  const tiers = use.tiersOf(vm);
  const wakeMs = wakeTime(vm, use.triedMs(vm));
  const moments = [...tiers.map(({ afterMs }) => use.lastMs(vm) + afterMs), ...(wakeMs === undefined ? [] : [wakeMs])];
  return [...moments.map((ms) => ms - use.now()), ...(isWatched(tiers) ? [LOOK_MS] : [])];
}

/** One timer, for the VM that is due next. As long as a VM may be paused or suspended, its use is looked at in between. */
export function createIdleWatch(options: IdleWatchOptions): IdleWatch {
  const { services, timer } = options;
  const use = createUse(services, options.staleAfterMs);
  let disarm: (() => void) | undefined;
  let isLooking = false;
  let ended = false;

  const arm = (): void => {
    if (ended || isLooking) return;
    disarm?.();
    const delayMs = nextLookMs();
    disarm = delayMs === undefined ? undefined : timer(() => void look(), Math.max(0, Math.min(delayMs, LONGEST_DELAY_MS)));
  };

  const nextLookMs = (): number | undefined => {
    try {
      const delays = services.vms.records.list().flatMap((vm) => delaysOf(use, vm));
      return delays.length === 0 ? undefined : Math.min(...delays);
    } catch (error) {
      // It is called at the end of every operation, and must not spoil it.
      services.world.warn('the search for unused VMs failed', { reason: messageOf(error) });
      return undefined;
    }
  };

  const look = async (): Promise<void> => {
    isLooking = true;
    try {
      await use.look();
      await Promise.all(services.vms.records.list().map(lookAt));
    } catch (error) {
      services.world.warn('the search for unused VMs failed', { reason: messageOf(error) });
    }
    isLooking = false;
    arm();
  };

  const lookAt = async (vm: Vm): Promise<void> => {
    const wakeMs = wakeTime(vm, use.triedMs(vm));
    const due = use.dueOf(vm);
    if (wakeMs !== undefined && wakeMs <= use.now()) {
      use.noteTry(vm);
      await options.wake(vm);
    } else if (due !== undefined) {
      await options.rest(due.tier, vm, (present) => reason(present, due.tier));
      // What did not work is tried again after another period.
      if (services.vms.records.find(vm.id)?.state === vm.state) use.noteTry(vm);
    }
  };

  const reason = (present: Vm, tier: Tier): string | undefined => {
    const due = use.dueOf(present);
    if (due?.tier !== tier) return undefined;
    const sentence = reasonOf(present, due);
    options.log(sentence, { vm: present.name, lastUsedAt: present.lastUsedAt });
    return sentence;
  };

  return {
    arm,
    end() {
      ended = true;
      disarm?.();
    },
  };
}
