// Compares versions and matches patterns as xbps does (xbps-pkgdb(1), "Package expressions"; lib/external/dewey.c defines the order).

/** `foo-1.0_1`: the name, and the version with its revision. */
export type PackageVersion = { name: string; version: string };

/** @returns undefined for a malformed name; a valid one can be part of a path and of an address */
export function splitPkgver(pkgver: string): PackageVersion | undefined {
  const [, name, version] = /^([A-Za-z0-9][A-Za-z0-9+._-]*)-([A-Za-z0-9.+~]*\d[A-Za-z0-9.+~]*_[\d_]*\d)$/.exec(pkgver) ?? [];
  return name === undefined || version === undefined ? undefined : { name, version };
}

/** Words that stand for a number, in the order in which they are tried. */
const WORDS: readonly [word: string, value: number][] = [
  ['alpha', -3],
  ['beta', -2],
  ['pre', -1],
  ['rc', -1],
  ['pl', 0],
  ['.', 0],
];

/** The revision only counts if all else is equal. */
type Numbers = { parts: number[]; revision: number };

function numbersOf(version: string): Numbers {
  const numbers: Numbers = { parts: [], revision: 0 };
  for (let rest = version.toLowerCase(); rest !== '';) rest = rest.slice(takePart(rest, numbers));
  return numbers;
}

/** @returns the number of characters that it consumed */
function takePart(rest: string, numbers: Numbers): number {
  const digits = /^\d+/.exec(rest)?.[0];
  if (digits !== undefined) {
    numbers.parts.push(Number(digits));
    return digits.length;
  }
  const word = WORDS.find(([text]) => rest.startsWith(text));
  if (word !== undefined) {
    numbers.parts.push(word[1]);
    return word[0].length;
  }
  const revision = /^_(\d*)/.exec(rest);
  if (revision !== null) {
    numbers.revision = Number(revision[1]);
    return revision[0].length;
  }
  // A letter is a part of its own: 1.0a is 1, 0, 0, 1.
  if (/^[a-z]/.test(rest)) numbers.parts.push(0, rest.charCodeAt(0) - 96);
  return 1;
}

/** @returns less than, equal to or greater than 0 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let i = 0; i < Math.max(left.parts.length, right.parts.length); i++) {
    const difference = (left.parts[i] ?? 0) - (right.parts[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.revision - right.revision;
}

/** A requirement: a package's name, and bounds of its version. */
export type Pattern = { name: string; bounds: { operator: '<' | '<=' | '>' | '>='; version: string }[]; exactly?: string };

/** @returns undefined for shell patterns, which are not supported; no package of Void depends on one */
export function parsePattern(text: string): Pattern | undefined {
  const [, name = '', operator, version, upper, upperVersion] =
    /^([^<>=*?[\]\s]+?)(?:([<>]=?)([^<>=*?[\]\s]+?)(?:(<=?)([^<>=*?[\]\s]+))?)?$/.exec(text) ?? [];
  if (name === '') return undefined;
  if (operator === undefined || version === undefined) {
    const exact = splitPkgver(name);
    return exact === undefined ? { name, bounds: [] } : { name: exact.name, bounds: [], exactly: exact.version };
  }
  if (upper !== undefined && operator.startsWith('<')) return undefined;
  const bounds: Pattern['bounds'] = [{ operator: operator as '<', version }];
  if (upper !== undefined && upperVersion !== undefined) bounds.push({ operator: upper as '<', version: upperVersion });
  return { name, bounds };
}

/** @returns whether `foo-1.0_1` satisfies the pattern */
export function matches(pattern: Pattern, pkgver: string): boolean {
  const found = splitPkgver(pkgver);
  if (found === undefined || found.name !== pattern.name) return false;
  if (pattern.exactly !== undefined) return found.version === pattern.exactly;
  return pattern.bounds.every(({ operator, version }) => {
    const order = compareVersions(found.version, version);
    return (operator.startsWith('<') && order < 0) || (operator.startsWith('>') && order > 0) || (operator.endsWith('=') && order === 0);
  });
}
