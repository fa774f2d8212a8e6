/** Functions that are called for every event, until they are removed. */
export class Listeners<Value> {
  readonly #all = new Set<(value: Value) => void>();

  /** @returns a function that removes the listener */
  add(listener: (value: Value) => void): () => void {
    this.#all.add(listener);
    return () => void this.#all.delete(listener);
  }

  tell(value: Value): void {
    for (const listener of [...this.#all]) listener(value);
  }
}
