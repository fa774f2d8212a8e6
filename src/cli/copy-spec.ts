import { readFileSync } from 'node:fs';
import { BangerError } from '../model/errors.ts';

/** One side of `vm cp`. `bytes` is the path as it was typed, which need not be text. */
export type CopySide =
  | { kind: 'host'; path: string; bytes: Buffer }
  | { kind: 'stream' }
  | { kind: 'guest'; vm: string; path: string; bytes: Buffer };

export type CopyPlan = { from: CopySide; to: CopySide };

/**
 * Reads `NAME:/path`, `-` or a path of the host. A host path with a colon is written with a slash before it (`./a:b`), as
 * scp and docker have it.
 * @param raw the bytes of the same argument
 * @throws INVALID_INPUT for a relative path in the guest
 */
export function parseSide(text: string, raw: Buffer = Buffer.from(text)): CopySide {
  if (text === '-') return { kind: 'stream' };
  const colon = text.indexOf(':');
  if (colon < 1 || text.slice(0, colon).includes('/')) return { kind: 'host', path: text, bytes: raw };
  const path = text.slice(colon + 1);
  if (!path.startsWith('/')) {
    throw new BangerError('INVALID_INPUT', `${JSON.stringify(text)} is not an absolute path in the guest`, {
      remedy: `${text.slice(0, colon)}:/path; a file of this host with a colon: ./${text}`,
    });
  }
  return { kind: 'guest', vm: text.slice(0, colon), path, bytes: raw.subarray(raw.indexOf(':') + 1) };
}

/** @throws INVALID_INPUT unless exactly one side is in a guest, and for a path that no system takes */
export function planCopy(from: string, to: string): CopyPlan {
  const plan = { from: parseSide(from, rawArgument(from)), to: parseSide(to, rawArgument(to)) };
  if ((plan.from.kind === 'guest') === (plan.to.kind === 'guest')) {
    throw new BangerError('INVALID_INPUT', 'one side must be in a virtual machine, the other one here', {
      remedy: 'banger vm cp --help',
    });
  }
  for (const side of [plan.from, plan.to]) {
    if (side.kind !== 'stream' && (side.bytes.length === 0 || side.bytes.length > MAX_PATH_BYTES)) {
      throw new BangerError('INVALID_INPUT', side.bytes.length === 0 ? 'a path is empty' : `a path has more than ${MAX_PATH_BYTES} bytes`);
    }
  }
  return plan;
}

/** PATH_MAX of Linux, without the final NUL. */
const MAX_PATH_BYTES = 4095;

/** Node decodes arguments as UTF-8 and loses other bytes; the kernel still has them. */
function rawArgument(text: string): Buffer {
  if (!text.includes('\uFFFD')) return Buffer.from(text);
  const line = readFileSync('/proc/self/cmdline');
  for (let at = 0; at < line.length;) {
    const end = line.indexOf(0, at);
    const argument = line.subarray(at, end < 0 ? line.length : end);
    if (argument.toString('utf8') === text) return argument;
    at += argument.length + 1;
  }
  return Buffer.from(text);
}

/**
 * @returns what a copy of this path is called in a directory; empty when, as with cp(1), its contents go there: `.`, `..` and `/`, and
 *   what ends in them
 */
export function nameInDirectory(path: Buffer): Buffer {
  let end = path.length;
  while (end > 0 && path[end - 1] === SLASH) end--;
  const name = path.subarray(path.lastIndexOf(SLASH, end - 1) + 1, end);
  const text = name.toString('latin1');
  return end === 0 || text === '.' || text === '..' ? Buffer.alloc(0) : name;
}

const SLASH = 0x2f;

/** @returns ASCII in which every byte that is not plain is `%XX`, as the copy program reads it */
export function encodePath(path: Buffer): string {
  return path.toString('latin1').replace(/[^A-Za-z0-9/._-]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
