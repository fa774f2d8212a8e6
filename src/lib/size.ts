// Implemented here, because a size must be parsed exactly or refused: bytes('512M') of npm is 512, and bytes('4GiB') is 4.

const UNITS: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/**
 * Reads "512M", "4GiB", "1.5g", "8192". Units are powers of 1024, as in qemu-img; a bare number counts `bareUnit` bytes.
 * @param options.bareUnit bytes that a number without a unit stands for, default 1
 * @returns bytes, or undefined if the text is no size, or no whole number of bytes
 */
export function parseSize(text: string, options: { bareUnit?: number } = {}): number | undefined {
  const match = /^(\d{1,15})(\.\d{1,6})?\s?([kmgt]?)(i?b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, whole = '', fraction = '', unit = '', suffix = ''] = match;
  const hasUnit = unit !== '' || suffix !== '';
  const factor = hasUnit ? UNITS[unit.toLowerCase()] : (options.bareUnit ?? 1);
  const bytes = Number(whole + fraction) * (factor ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** @returns "1.5 GiB", "64 MiB", "0 B": at most one decimal, and none if it would be zero */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let step = 0;
  while (value >= 1024 && step < names.length - 1) {
    value /= 1024;
    step++;
  }
  const rounded = Math.round(value * 10) / 10;
  return `${rounded} ${names[step] ?? 'B'}`;
}
