/** Starting a program takes a moment; on a host that is very busy, and itself emulated, it has taken more than ten seconds. */
export const PROGRAM_START_LIMIT_MS = 60_000;

/** More than a probe takes on the slowest host, where its time limit ends it first. */
const PROBE_CPU_SECONDS = 30;

/**
 * A daemon that is killed ends no probe, and what a probe finds out may be that it loops for ever.
 * @param cpuSeconds whole, at least 1
 * @returns the command line so that the kernel ends it when it has used that much CPU time (SIGXCPU)
 */
export function boundProbe(argv: readonly string[], cpuSeconds = PROBE_CPU_SECONDS): string[] {
  return ['prlimit', `--cpu=${cpuSeconds}`, ...argv];
}
