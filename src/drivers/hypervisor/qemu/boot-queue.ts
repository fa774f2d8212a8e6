/** Returns a place; idempotent. */
export type Release = () => void;

/**
 * Limits how many guests boot at once; the others wait in order. A guest measures its clocks while it boots, and measures nonsense if it
 * shares its processor with many others.
 */
export function createBootQueue(places: number) {
  const waiting: (() => void)[] = [];
  let taken = 0;

  const release = (): Release => {
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const next = waiting.shift();
      if (next === undefined) taken--;
      else next();
    };
  };

  return {
    /**
     * @param onWait called if no place is free yet
     * @returns once it is the caller's turn; the caller returns the place when the guest is up, or its VMM has ended
     * @throws the reason of `signal`
     */
    async take(signal: AbortSignal, onWait: () => void): Promise<Release> {
      signal.throwIfAborted();
      if (taken < places) {
        taken++;
        return release();
      }
      onWait();
      await new Promise<void>((resolve, reject) => {
        const turn = (): void => {
          signal.removeEventListener('abort', leave);
          resolve();
        };
        const leave = (): void => {
          waiting.splice(waiting.indexOf(turn), 1);
          reject(signal.reason as Error);
        };
        waiting.push(turn);
        signal.addEventListener('abort', leave, { once: true });
      });
      return release();
    },
  };
}

export type BootQueue = ReturnType<typeof createBootQueue>;
