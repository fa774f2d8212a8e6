// What becomes of a VM that nobody uses, and when.
import { formatDuration } from '../../lib/duration.ts';
import { nextTime, parseSchedule } from '../../lib/schedule.ts';
import type { Vm } from '../../model/vm.ts';

/** From the lightest sleep to the deepest. */
export type Tier = 'pause' | 'suspend' | 'stop';
export type Due = { tier: Tier; afterMs: number };

/** What a VM's machine can do. */
export type Means = { pause: boolean; suspend: boolean };

/**
 * @param staleAfterMs when an unused VM is stopped; null: never
 * @returns the tiers that a VM may still go down. What a user paused stays so; what is suspended costs nothing any more
 */
export function tiersOf(vm: Pick<Vm, 'state' | 'spec' | 'sleep' | 'runtime'>, means: Means, staleAfterMs: number | null): Due[] {
  const isUp = vm.state === 'running';
  if (!isUp && !(vm.state === 'paused' && vm.sleep?.why === 'idle')) return [];
  const { pauseAfterSeconds = 0, suspendAfterSeconds = 0 } = vm.spec;
  // The disks of a rescue are not those of the next start.
  const maySuspend = means.suspend && vm.runtime?.rescue !== true;
  return [
    ...(isUp && means.pause && pauseAfterSeconds > 0 ? [{ tier: 'pause', afterMs: pauseAfterSeconds * 1000 } as const] : []),
    ...(maySuspend && suspendAfterSeconds > 0 ? [{ tier: 'suspend', afterMs: suspendAfterSeconds * 1000 } as const] : []),
    ...(staleAfterMs === null ? [] : [{ tier: 'stop', afterMs: staleAfterMs } as const]),
  ];
}

/** @returns the deepest tier that is due */
export function dueTier(tiers: readonly Due[], idleMs: number): Due | undefined {
  return tiers.findLast(({ afterMs }) => afterMs <= idleMs);
}

const WORDS: Readonly<Record<Tier, { key: string; done: string }>> = {
  pause: { key: 'pause-after', done: 'paused' },
  suspend: { key: 'suspend-after', done: 'suspended' },
  stop: { key: 'auto_stop_stale_after', done: 'stopped' },
};

/** @returns a sentence for people */
export function reasonOf({ name }: Pick<Vm, 'name'>, { tier, afterMs }: Due): string {
  const { key, done } = WORDS[tier];
  return `${name} was not used for ${formatDuration(afterMs)} (${key}): it is ${done}`;
}

/** @returns when a VM that sleeps is to wake by its schedule; undefined: never. @param triedMs the last attempt */
export function wakeTime({ state, spec, sleep }: Pick<Vm, 'state' | 'spec' | 'sleep'>, triedMs: number): number | undefined {
  const { wakeAt = '' } = spec;
  if (wakeAt === '' || sleep === null || (state !== 'paused' && state !== 'suspended')) return undefined;
  const schedule = parseSchedule(wakeAt);
  return 'problem' in schedule ? undefined : nextTime(schedule, Math.max(Date.parse(sleep.since), triedMs));
}

/** An idle guest computes for one hundredth of the time under emulation, and for less with KVM. */
const BUSY_SHARE = 0.05;

/** @returns whether a guest computed between two looks at its VMM */
export function isBusy(before: CpuLook, now: CpuLook): boolean {
  return now.cpuMs - before.cpuMs >= BUSY_SHARE * (now.atMs - before.atMs);
}

export type CpuLook = { cpuMs: number; atMs: number };
