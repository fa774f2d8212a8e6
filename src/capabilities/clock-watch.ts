import type { ClockReading } from '../guest/clock.ts';
import { decideClock } from './clock-decisions.ts';
import type { LiveMachine } from '../context/machines.ts';
import type { VmContext } from '../context/vm-context.ts';
import { messageOf } from '../lib/message-of.ts';

/** After the start is over: the guest agent has set the clock nearly right at personalisation. */
const FIRST_LOOK_MS = 1000;
/** Clocks drift by some parts in a hundred thousand: about a millisecond a minute. */
const LOOK_EVERY_MS = 60_000;
/** The next attempt after a failed one. The delay doubles while the guest does not answer at all, since it may be paused for long. */
const RETRY_MS = 5000;
/** How often to check whether the guest has carried out an order. */
const ATTEMPTS = 4;

/**
 * Keeps the guest's clock at the host's while the daemon holds the machine. It checks the clock after start and adoption, whenever the
 * vCPUs stood still, whenever the host's clock jumped, whenever the guest's clock was set, and once a minute.
 */
export function watchClock({ services, vm }: Pick<VmContext, 'services' | 'vm'>, live: LiveMachine): void {
  const { signal } = live.companions;
  let occasion: 'gap' | 'watch' = 'gap';
  let disarm = (): void => undefined;
  let isLooking = false;
  let silentFor = 0;

  const schedule = (ms: number): void => {
    disarm();
    if (!signal.aborted) disarm = services.world.clock.guestTimer(() => void look(), ms);
  };
  const look = async (): Promise<void> => {
    const present = occasion;
    occasion = 'watch';
    isLooking = true;
    try {
      const isKnown = await correct(live, present);
      silentFor = 0;
      if (!isKnown && present === 'gap') occasion = 'gap';
      schedule(isKnown && occasion === 'watch' ? LOOK_EVERY_MS : RETRY_MS);
    } catch (error) {
      // A guest that did not answer may have stood still.
      occasion = 'gap';
      if (silentFor === 0 && !signal.aborted)
        services.world.warn('the clock of a VM is not known', { vm: vm.name, reason: messageOf(error) });
      schedule(Math.min(RETRY_MS * 2 ** silentFor++, LOOK_EVERY_MS));
    }
    isLooking = false;
  };
  const noteGap = (): void => {
    // If another event comes during a check, the next check handles it.
    occasion = 'gap';
    if (!isLooking) schedule(0);
  };

  live.machine.onResume?.(noteGap);
  // During a check, the check itself sets the clock.
  live.clockSets.add(() => isLooking || schedule(0));
  const unsubscribe = services.world.clock.jumps.subscribe(noteGap);
  signal.addEventListener('abort', () => (unsubscribe(), disarm()), { once: true });
  schedule(FIRST_LOOK_MS);
}

/** @returns whether the clock is known to be right */
async function correct({ agent, companions: { signal } }: LiveMachine, occasion: 'gap' | 'watch'): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const reading = await agent.readClock({ signal });
    if (reading === undefined) {
      await agent.setClock({ signal });
      return true;
    }
    const decision = decideClock(reading, occasion);
    if (decision.do === 'nothing') return isSure(reading);
    await agent.moveClock(decision.do === 'step' ? { stepMs: decision.byMs } : { slewMs: decision.byMs }, { signal });
    // Slewing takes time; the next check sees how far it came.
    if (decision.do === 'slew') return isSure(reading);
  }
  return false;
}

/** A reading that is less exact than this is worthless; the next one may be better. */
const SURE_MS = 50;

function isSure({ uncertaintyMs }: ClockReading): boolean {
  return uncertaintyMs <= SURE_MS;
}
