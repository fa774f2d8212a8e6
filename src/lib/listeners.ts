/** Functions that want to hear of something whenever it happens, each until it leaves. */
export class Listeners<Value> {
  readonly #all = new Set<(value: Value) => void>();

  /** @returns what ends it */
  add(listener: (value: Value) => void): () => void {
    this.#all.add(listener);
    return () => void this.#all.delete(listener);
  }

  tell(value: Value): void {
    for (const listener of [...this.#all]) listener(value);
  }
}
