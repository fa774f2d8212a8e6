// Sets the wall clock forward or back, while the monotonic clock continues.

const RealDate = Date;
let offsetMs = 0;

class MovedDate extends RealDate {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) super(RealDate.now() + offsetMs);
    else super(args[0]);
  }
  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

/** The range that Linux accepts (timespec64_valid_settod in include/linux/time64.h): from 1970 to 2232. */
const LATEST_MS = Date.UTC(2232, 0);

/** Moves this process's wall clock permanently, as far as a kernel would allow. Only for test files that run in their own process. */
export function jumpClock(byMs: number): void {
  const target = Math.min(Math.max(MovedDate.now() + byMs, 0), LATEST_MS);
  offsetMs = target - RealDate.now();
  globalThis.Date = MovedDate as DateConstructor;
}
