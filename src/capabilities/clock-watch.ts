import type { ClockReading } from '../guest/clock.ts';
import { decideClock } from './clock-decisions.ts';
import type { LiveMachine } from '../context/machines.ts';
import type { VmContext } from '../context/vm-context.ts';

/** Out of the way of a start; its own order to the guest has set the clock nearly right by then. */
const FIRST_LOOK_MS = 1000;
/** Clocks drift by some parts in a hundred thousand; a minute of that is a millisecond. */
const LOOK_EVERY_MS = 60_000;
/** After a look that told nothing; doubled while the guest does not answer at all, since it may be paused for long. */
const RETRY_MS = 5000;
/** What a guest does with an order is looked at again, so often. */
const ATTEMPTS = 4;

/**
 * Keeps the guest's clock at the host's for as long as the machine is held: after its start and its adoption, after every time
 * that its vCPUs stood still, after every jump of the host's clock, after every time that it was set, and once a minute.
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
      // One that was silent may have stood still.
      occasion = 'gap';
      if (silentFor === 0 && !signal.aborted) services.world.warn('the clock of a VM is not known', { vm: vm.name, reason: textOf(error) });
      schedule(Math.min(RETRY_MS * 2 ** silentFor++, LOOK_EVERY_MS));
    }
    isLooking = false;
  };
  const noteGap = (): void => {
    // One that comes in the middle of a look is seen by the next.
    occasion = 'gap';
    if (!isLooking) schedule(0);
  };

  live.machine.onResume?.(noteGap);
  // In the middle of a look it is the look that sets it.
  live.clockSets.add(() => isLooking || schedule(0));
  const unsubscribe = services.world.clock.jumps.subscribe(noteGap);
  signal.addEventListener('abort', () => (unsubscribe(), disarm()), { once: true });
  schedule(FIRST_LOOK_MS);
}

/** @returns whether it is known that the clock is right */
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
    // Slewing takes its time, and the next look sees how far it came.
    if (decision.do === 'slew') return isSure(reading);
  }
  return false;
}

/** Beyond this a reading says too little; the next one may be less disturbed. */
const SURE_MS = 50;

function isSure({ uncertaintyMs }: ClockReading): boolean {
  return uncertaintyMs <= SURE_MS;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
