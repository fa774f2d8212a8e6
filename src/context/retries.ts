import type { Timer } from './timer.ts';

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;

/** Retries work that failed, if it may become possible without an event. */
export type Retries = {
  /**
   * Calls `attempt` after a second, then at growing intervals, until it returns that it is done. Has no effect for a key that is being
   * retried already.
   */
  begin(key: string, attempt: () => Promise<boolean>): void;
  end(): void;
};

export function createRetries(timer: Timer): Retries {
  const waiting = new Map<string, () => void>();
  let isOver = false;
  const schedule = (key: string, attempt: () => Promise<boolean>, delayMs: number): void => {
    if (isOver) return;
    const disarm = timer(() => void run(), delayMs);
    waiting.set(key, disarm);
    const run = async (): Promise<void> => {
      // An attempt that throws is retried.
      const isDone = await attempt().catch(() => false);
      if (isDone) waiting.delete(key);
      else schedule(key, attempt, Math.min(delayMs * 2, LONGEST_DELAY_MS));
    };
  };
  return {
    begin(key, attempt) {
      if (!waiting.has(key)) schedule(key, attempt, FIRST_DELAY_MS);
    },
    end() {
      isOver = true;
      for (const disarm of waiting.values()) disarm();
      waiting.clear();
    },
  };
}
