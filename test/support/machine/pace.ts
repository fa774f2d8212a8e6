// How much slower than an ordinary machine this one is. The lab, for example, is emulated.

/** BANGER_TEST_PACE; 1 on an ordinary machine. */
export const PACE = Number(process.env['BANGER_TEST_PACE'] ?? '1');

/** @returns how long this machine takes for what an ordinary one does in `milliseconds` */
export function paced(milliseconds: number): number {
  return milliseconds * PACE;
}
