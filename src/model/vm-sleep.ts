import type { Vm } from './vm.ts';

/** @returns whether the VM sleeps, or is about to, because nobody used it: then every use wakes it */
export function wakesOnUse({ state, sleep }: Pick<Vm, 'state' | 'sleep'>): boolean {
  return sleep?.why === 'idle' && (state === 'paused' || state === 'suspending' || state === 'suspended');
}

/** @returns whether a VM that is going down stays reachable by its name and its ports */
export function isLeftReachable({ state, sleep }: Pick<Vm, 'state' | 'sleep'>): boolean {
  return sleep?.why === 'idle' && state === 'suspending';
}

/** @returns whether a lease keeps the VM from sleeping for idleness now */
export function isKeptAwake({ keepAwake }: Pick<Vm, 'keepAwake'>, nowMs: number): boolean {
  return keepAwake !== null && (keepAwake.until === null || Date.parse(keepAwake.until) > nowMs);
}
