import type { Timer } from './timer.ts';

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;

/** Tries again what could not be done and may become possible without anybody saying so. */
export type Retries = {
  /**
   * Has `attempt` called after a second, then ever more rarely, until it says that there is nothing more to try. Nothing changes for
   * a key that is being tried already.
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
      // One that fails is one that has to be tried again.
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
