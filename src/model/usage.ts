/** What a process has used since it began, and what memory it has now. */
type ProcessUsage = { cpuMs: number; residentBytes: number };

export type SampledProcess = ProcessUsage & { startTicks: number };

/** The usage of several processes at one moment, by the VM's id; a VMM that is another process counts as another VM. */
export type UsageSample = { atMs: number; processes: ReadonlyMap<string, SampledProcess> };

/** Shorter, and the ticks in which the kernel counts would show (10 ms each). */
export const SHORTEST_INTERVAL_MS = 200;
/** Older, and it would tell of the past more than of now. */
const LONGEST_INTERVAL_MS = 10_000;

/**
 * Decides against what the next sample is measured.
 * @param ageMs of the last sample; undefined when there is none
 * @returns whether the last one serves, and how long to wait until the next is taken
 */
export function planSample(ageMs: number | undefined): { usesLast: boolean; waitMs: number } {
  if (ageMs === undefined || ageMs > LONGEST_INTERVAL_MS) return { usesLast: false, waitMs: SHORTEST_INTERVAL_MS };
  return { usesLast: true, waitMs: Math.max(0, SHORTEST_INTERVAL_MS - ageMs) };
}

/** @returns percent of one processor between two samples, to a tenth; null when the process was not there at both */
export function cpuPercent(before: UsageSample, after: UsageSample, vmId: string): number | null {
  const [first, last] = [before.processes.get(vmId), after.processes.get(vmId)];
  if (first === undefined || last === undefined || first.startTicks !== last.startTicks) return null;
  return Math.round(((last.cpuMs - first.cpuMs) / (after.atMs - before.atMs)) * 1000) / 10;
}
