// The wall clock as somebody sets it, forward or back; the monotonic clock goes on.

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

/** What Linux lets somebody set (timespec64_valid_settod in include/linux/time64.h): not before 1970, not after 2232. */
const LATEST_MS = Date.UTC(2232, 0);

/** Moves this process's wall clock, for good, as far as a kernel would let it go: only for test files that are processes of their own. */
export function jumpClock(byMs: number): void {
  const target = Math.min(Math.max(MovedDate.now() + byMs, 0), LATEST_MS);
  offsetMs = target - RealDate.now();
  globalThis.Date = MovedDate as DateConstructor;
}
