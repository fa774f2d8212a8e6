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

/** Moves this process's wall clock, for good: only for test files that are processes of their own. */
export function jumpClock(byMs: number): void {
  offsetMs += byMs;
  globalThis.Date = MovedDate as DateConstructor;
}
