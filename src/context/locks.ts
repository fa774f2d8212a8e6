/** Serialises work per key; work of different keys runs in parallel. */
export type KeyedLock = {
  /**
   * Runs `work` after all earlier work of this key.
   * @throws the signal's reason if it fires during the wait
   */
  hold<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
};

/** @returns a lock that keeps nothing for a key without work */
export function createKeyedLock(): KeyedLock {
  const tails = new Map<string, Promise<void>>();
  return {
    async hold(key, signal, work) {
      const before = tails.get(key) ?? Promise.resolve();
      const { promise: mine, resolve: release } = Promise.withResolvers<void>();
      const tail = before.then(() => mine);
      tails.set(key, tail);
      try {
        await waitOrAbort(before, signal);
        return await work();
      } finally {
        release();
        if (tails.get(key) === tail) tails.delete(key);
      }
    },
  };
}

async function waitOrAbort(before: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([before, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
