import type { ClockReading } from '../guest/clock.ts';

/** How to correct a guest's clock. */
export type ClockDecision = { do: 'nothing' } | { do: 'step' | 'slew'; byMs: number };

/** Programs do not notice smaller steps of the clock. */
const STEP_FROM_MS = 100;
/** Neither a reading nor a second of slewing is more exact than this. */
const SLEW_FROM_MS = 5;
/** After a start or a pause, no program relies on the guest's time yet. */
const STEP_AT_ONCE_FROM_MS = 20;

/**
 * @param occasion `gap`: a clock of the guest or the host has just started, stopped or jumped; `watch`: a periodic check
 * @returns how to set the guest's clock to the host's. If an NTP program of the guest keeps the clock, banger corrects only gaps, because
 * such a program takes long to notice them.
 */
export function decideClock({ offsetMs, uncertaintyMs, isKeptInside }: ClockReading, occasion: 'gap' | 'watch'): ClockDecision {
  const surelyMs = Math.abs(offsetMs) - uncertaintyMs;
  if (occasion === 'watch' && isKeptInside) return { do: 'nothing' };
  if (surelyMs >= (occasion === 'gap' ? STEP_AT_ONCE_FROM_MS : STEP_FROM_MS)) return { do: 'step', byMs: -offsetMs };
  return surelyMs < SLEW_FROM_MS || isKeptInside ? { do: 'nothing' } : { do: 'slew', byMs: -offsetMs };
}
