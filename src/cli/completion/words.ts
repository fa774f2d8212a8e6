/** One word of a shell: bare, escaped or quoted pieces; a quote at the end may be open. */
const WORD = /(?:\\.|"(?:\\.|[^"\\])*(?:"|\\?$)|'[^']*(?:'|$)|[^\s"'\\]|\\$)+/gs;
const PIECE = /\\(.)|"((?:\\.|[^"\\])*)\\?"?|'([^']*)'?|\\$/gs;

/**
 * Splits a command line up to the cursor into words, as a shell does, but without expansion.
 * @returns the words; the last one is the word under the cursor, empty after a blank
 */
export function splitLine(line: string): string[] {
  const words = [...line.matchAll(WORD)].map(([word]) =>
    word.replace(PIECE, (_, escaped?: string, double?: string, single?: string) => {
      return escaped ?? double?.replace(/\\(["\\$`])/g, '$1') ?? single ?? '';
    }),
  );
  const last = [...line.matchAll(WORD)].at(-1);
  const endsInside = last !== undefined && last.index + last[0].length === line.length;
  return endsInside ? words : [...words, ''];
}
