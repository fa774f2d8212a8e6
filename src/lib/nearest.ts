/**
 * Finds what a user may have meant by a mistyped word.
 * @returns the candidate with the fewest edits (a swap of neighbours is one), if they are few for its length
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  // No typing error is that long, and the work grows with the square.
  if (word.length > 64) return undefined;
  const allowed = Math.max(1, Math.floor(word.length / 3));
  const ranked = candidates.map((name) => ({ name, edits: editsBetween(word, name) })).toSorted((a, b) => a.edits - b.edits);
  const [best] = ranked;
  return best !== undefined && best.edits <= allowed ? best.name : undefined;
}

/** Optimal string alignment distance. */
function editsBetween(a: string, b: string): number {
  let [older, old]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let edits = Math.min((old[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (old[j - 1] ?? 0) + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) edits = Math.min(edits, (older[j - 2] ?? 0) + 1);
      row.push(edits);
    }
    [older, old] = [old, row];
  }
  return old[b.length] ?? 0;
}
