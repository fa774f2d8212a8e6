import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Some changes of a file cause no event, and a missing directory causes none at all. */
const LOOK_EVERY_MS = 500;

/** Wakes one waiter. A ring without a waiter is kept for the next wait. */
export class Bell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  async wait(): Promise<void> {
    if (!this.#hasRung) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#hasRung = false;
  }
}

/**
 * Calls back if the file may have changed, was replaced, or appeared.
 * @returns a function that stops it
 */
export function watchBeside(path: string, onChange: () => void): () => void {
  let watcher: FSWatcher | undefined;
  const begin = (): void => {
    try {
      watcher ??= watch(dirname(path), onChange).on('error', () => {
        watcher?.close();
        watcher = undefined;
      });
    } catch {
      // It is missing: the timer tries again.
    }
  };
  begin();
  const timer = setInterval(() => {
    begin();
    onChange();
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    watcher?.close();
  };
}
