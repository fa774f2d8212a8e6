// The two ends of a copy, and how the copy program gets their paths.
import { BangerError } from '../model/errors.ts';

/** One side of a copy. `bytes` is the path as the user gave it, which may not be text. */
export type CopySide =
  | { kind: 'host'; path: string; bytes: Buffer }
  | { kind: 'stream' }
  | { kind: 'guest'; vm: string; path: string; bytes: Buffer };

export type CopyPlan = { from: CopySide; to: CopySide };

/** PATH_MAX of Linux, without the final NUL. */
const MAX_PATH_BYTES = 4095;

/** @throws INVALID_INPUT for a path that no system accepts */
export function refuseUnusable(side: CopySide): void {
  if (side.kind === 'stream' || (side.bytes.length > 0 && side.bytes.length <= MAX_PATH_BYTES)) return;
  throw new BangerError('INVALID_INPUT', side.bytes.length === 0 ? 'a path is empty' : `a path has more than ${MAX_PATH_BYTES} bytes`);
}

/**
 * @returns the name of the copy in a target directory. It is empty if the contents go there, as with cp(1): for `.`, `..`, `/`, and paths
 * that end in them.
 */
export function nameInDirectory(path: Buffer): Buffer {
  let end = path.length;
  while (end > 0 && path[end - 1] === SLASH) end--;
  const name = path.subarray(path.lastIndexOf(SLASH, end - 1) + 1, end);
  const text = name.toString('latin1');
  return end === 0 || text === '.' || text === '..' ? Buffer.alloc(0) : name;
}

const SLASH = 0x2f;

/** @returns ASCII with every special byte as `%XX`, as the copy program reads it */
export function encodePath(path: Buffer): string {
  return path.toString('latin1').replace(/[^A-Za-z0-9/._-]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
