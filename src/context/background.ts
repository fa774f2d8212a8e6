import { messageOf } from '../lib/message-of.ts';

/** Work of the daemon itself that no user waits for. Pieces run one after another; nothing that a user does waits for them. */
export type Background = {
  /**
   * Runs `work` after all earlier work. Does nothing while work of this key waits or runs, nor after it has failed: what failed once fails
   * again, and costs as much each time.
   */
  begin(key: string, work: (signal: AbortSignal) => Promise<void>): void;
  /** Settles once nothing waits and nothing runs. */
  settled(): Promise<void>;
  /** Cancels everything, and settles when nothing runs any more. */
  end(): Promise<void>;
};

/** @param warn gets what failed */
export function createBackground(warn: (message: string, facts: Record<string, unknown>) => void): Background {
  const ending = new AbortController();
  const known = new Set<string>();
  let last = Promise.resolve();
  const run = async (key: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    if (ending.signal.aborted) return;
    try {
      await work(ending.signal);
      known.delete(key);
    } catch (error) {
      if (!ending.signal.aborted) warn('work in the background failed, and is not tried again', { work: key, reason: messageOf(error) });
    }
  };
  return {
    begin(key, work) {
      if (known.has(key)) return;
      known.add(key);
      last = last.then(() => run(key, work));
    },
    async settled() {
      for (let seen; seen !== last; await seen) seen = last;
    },
    async end() {
      ending.abort();
      await last;
    },
  };
}
