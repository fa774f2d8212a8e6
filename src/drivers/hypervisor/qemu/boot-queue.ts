/** Gives back what was taken; idempotent. */
export type Release = () => void;

/**
 * Lets so many boots run at once and the others wait for their turn, the first the first: a guest measures its clocks while it boots, and
 * one that must share its processor with many others measures nonsense.
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
     * @param onWait told when there is no place yet
     * @returns at the caller's turn; the caller gives the place back when the guest is up, or its VMM has ended
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
