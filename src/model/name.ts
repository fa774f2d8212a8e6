import { BangerError } from './errors.ts';
import { LIMITS } from './limits.ts';

const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
/** Names with a meaning of their own under `.vm` or in a shell. */
const RESERVED = new Set(['localhost', 'all', 'none']);

/**
 * VM and image names are DNS labels in lower case (RFC 1035 §2.3.1, leading digits as RFC 1123 allows).
 * @throws INVALID_INPUT naming the rule that is broken
 */
export function checkName(name: string, what: 'VM' | 'image' = 'VM'): string {
  const problem = nameProblem(name);
  if (problem === undefined) return name;
  throw new BangerError('INVALID_INPUT', `${JSON.stringify(name.slice(0, 80))} is not a valid ${what} name: ${problem}`, {
    remedy: 'use 1 to 63 of a-z, 0-9 and "-", starting and ending with a letter or digit',
    details: { field: 'name', value: name.slice(0, 80) },
  });
}

/** A login name of shadow-utils, and what others allow besides. */
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/;

/**
 * Reads `web`, `web.vm`, `dev@web` and `dev@web.vm`, as ssh and people write a VM.
 * @returns name, id or beginning of an id, and the user where one is named
 * @throws INVALID_INPUT for what is no name of a user
 */
export function readVmReference(text: string): { user?: string; name: string } {
  const at = text.lastIndexOf('@');
  const user = at < 0 ? undefined : text.slice(0, at);
  if (user !== undefined && !USER.test(user)) {
    throw new BangerError('INVALID_INPUT', `${JSON.stringify(user.slice(0, 80))} is not the name of a user`, {
      remedy: 'write NAME, or USER@NAME',
      details: { value: text.slice(0, 80) },
    });
  }
  return { ...(user === undefined ? {} : { user }), name: vmNameOf(text) };
}

/** @returns the reference without a user before it, and without `.vm` behind it */
export function vmNameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf('@') + 1).replace(/\.vm\.?$/, '');
}

function nameProblem(name: string): string | undefined {
  if (name.length < LIMITS.nameLength.min) return 'it is empty';
  if (name.length > LIMITS.nameLength.max) return `it has ${name.length} characters, more than ${LIMITS.nameLength.max}`;
  if (/[A-Z]/.test(name)) return 'it has upper-case letters';
  if (!LABEL.test(name)) return 'it is not a DNS label';
  if (RESERVED.has(name)) return 'it is reserved';
  return undefined;
}
