/** What a process has used since its start, and its present memory. */
type ProcessUsage = { cpuMs: number; residentBytes: number };

export type SampledProcess = ProcessUsage & { startTicks: number };

/** The usage of several processes at one moment, by the VM's id; if the VMM is another process, it counts as another VM. */
export type UsageSample = { atMs: number; processes: ReadonlyMap<string, SampledProcess> };

/** In a shorter interval the kernel's ticks would show (10 ms each). */
export const SHORTEST_INTERVAL_MS = 200;
/** In a longer interval the result would be about the past. */
const LONGEST_INTERVAL_MS = 10_000;

/**
 * Decides which sample to compare the next one with.
 * @param ageMs of the last sample; undefined if there is none
 * @returns whether to use the last sample, and how long to wait before the next one
 */
export function planSample(ageMs: number | undefined): { usesLast: boolean; waitMs: number } {
  if (ageMs === undefined || ageMs > LONGEST_INTERVAL_MS) return { usesLast: false, waitMs: SHORTEST_INTERVAL_MS };
  return { usesLast: true, waitMs: Math.max(0, SHORTEST_INTERVAL_MS - ageMs) };
}

/** @returns percent of one processor between two samples, to a tenth; null unless the process ran at both */
export function cpuPercent(before: UsageSample, after: UsageSample, vmId: string): number | null {
  const [first, last] = [before.processes.get(vmId), after.processes.get(vmId)];
  if (first === undefined || last === undefined || first.startTicks !== last.startTicks) return null;
  return Math.round(((last.cpuMs - first.cpuMs) / (after.atMs - before.atMs)) * 1000) / 10;
}
