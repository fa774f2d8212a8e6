import type { ClockReading } from '../guest/clock.ts';

/** What is done about a guest's clock. */
export type ClockDecision = { do: 'nothing' } | { do: 'step' | 'slew'; byMs: number };

/** Smaller steps of the clock go unnoticed. */
const STEP_FROM_MS = 100;
/** Neither the way of a reading nor a second of slewing is more exact. */
const SLEW_FROM_MS = 5;
/** After a start or a pause there is no time yet that anybody relies on. */
const STEP_AT_ONCE_FROM_MS = 20;

/**
 * @param occasion `gap`: the guest's clock or the host's has just begun, stood still or jumped; `watch`: nothing is known to have happened
 * @returns what brings the guest's clock to the host's. One that an NTP program of the guest keeps is left to it, but for gaps, which such
 * a program takes long to notice.
 */
export function decideClock({ offsetMs, uncertaintyMs, isKeptInside }: ClockReading, occasion: 'gap' | 'watch'): ClockDecision {
  const surelyMs = Math.abs(offsetMs) - uncertaintyMs;
  if (occasion === 'watch' && isKeptInside) return { do: 'nothing' };
  if (surelyMs >= (occasion === 'gap' ? STEP_AT_ONCE_FROM_MS : STEP_FROM_MS)) return { do: 'step', byMs: -offsetMs };
  return surelyMs < SLEW_FROM_MS || isKeptInside ? { do: 'nothing' } : { do: 'slew', byMs: -offsetMs };
}
