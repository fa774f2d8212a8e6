import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Not every change of a file gives an event, and a directory that is not there gives none. */
const LOOK_EVERY_MS = 500;

/** Wakes one waiter. A ring that nobody waits for is kept for the next wait. */
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
 * Calls back when the file may have changed, was replaced, or came to be.
 * @returns what ends it
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
      // Not there yet: the timer tries again.
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
