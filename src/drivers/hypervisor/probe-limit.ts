/** Starting a program is quick; on a host that is very busy and itself emulated, it has taken more than ten seconds. */
export const PROGRAM_START_LIMIT_MS = 60_000;

/** More than a probe takes on the slowest host, where its time limit ends it first. */
const PROBE_CPU_SECONDS = 30;

/**
 * A killed daemon ends no probe, and a probe may show that it loops for ever.
 * @param cpuSeconds whole, at least 1
 * @returns the command line, with a limit by which the kernel ends the program after this much CPU time (SIGXCPU)
 */
export function boundProbe(argv: readonly string[], cpuSeconds = PROBE_CPU_SECONDS): string[] {
  return ['prlimit', `--cpu=${cpuSeconds}`, ...argv];
}
