import { BangerError } from '../model/errors.ts';

/** One side of `vm cp`. */
export type CopySide = { kind: 'host'; path: string } | { kind: 'stream' } | { kind: 'guest'; vm: string; path: string };

export type CopyPlan = { from: CopySide; to: CopySide };

/**
 * Reads `NAME:/path`, `-` or a path of the host. A host path with a colon is written with a slash before it (`./a:b`), as
 * scp and docker have it.
 * @throws INVALID_INPUT for a relative path in the guest
 */
export function parseSide(text: string): CopySide {
  if (text === '-') return { kind: 'stream' };
  const colon = text.indexOf(':');
  if (colon < 1 || text.slice(0, colon).includes('/')) return { kind: 'host', path: text };
  const path = text.slice(colon + 1);
  if (!path.startsWith('/')) {
    throw new BangerError('INVALID_INPUT', `${JSON.stringify(text)} is not an absolute path in the guest`, {
      remedy: `${text.slice(0, colon)}:/path; a file of this host with a colon: ./${text}`,
    });
  }
  return { kind: 'guest', vm: text.slice(0, colon), path };
}

/** @throws INVALID_INPUT unless exactly one side is in a guest */
export function planCopy(from: string, to: string): CopyPlan {
  const plan = { from: parseSide(from), to: parseSide(to) };
  if ((plan.from.kind === 'guest') === (plan.to.kind === 'guest')) {
    throw new BangerError('INVALID_INPUT', 'one side must be in a virtual machine, the other one here', {
      remedy: 'banger vm cp --help',
    });
  }
  return plan;
}

/** @returns the last part of a path; `fallback` for `/`, `.` and `..`, which are no names to give to a copy */
export function lastPart(path: string, fallback: string): string {
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return name === '' || name === '.' || name === '..' ? fallback : name;
}
