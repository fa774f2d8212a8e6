// How much slower than an ordinary machine the one is on which real VMs are tested: the lab emulates all that they run on.

/** BANGER_TEST_PACE; 1 on an ordinary machine. */
export const PACE = Number(process.env['BANGER_TEST_PACE'] ?? '1');

/** @returns as long a wait as this machine needs for what an ordinary one does in `milliseconds` */
export function paced(milliseconds: number): number {
  return milliseconds * PACE;
}
