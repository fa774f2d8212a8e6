import { BangerError } from './errors.ts';
import { LIMITS } from './limits.ts';

const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
/** Names with a meaning of their own under `.vm` or in a shell. */
const RESERVED = new Set(['localhost', 'all', 'none']);

/**
 * VM and image names are DNS labels in lower case (RFC 1035 §2.3.1, leading digits as RFC 1123 allows).
 * @throws INVALID_INPUT with the violated rule
 */
export function checkName(name: string, what: 'VM' | 'image' = 'VM'): string {
  const problem = nameProblem(name);
  if (problem === undefined) return name;
  throw new BangerError('INVALID_INPUT', `${JSON.stringify(name.slice(0, 80))} is not a valid ${what} name: ${problem}`, {
    remedy: 'use 1 to 63 of a-z, 0-9 and "-", starting and ending with a letter or digit',
    details: { field: 'name', value: name.slice(0, 80) },
  });
}

function nameProblem(name: string): string | undefined {
  if (name.length < LIMITS.nameLength.min) return 'it is empty';
  if (name.length > LIMITS.nameLength.max) return `it has ${name.length} characters, more than ${LIMITS.nameLength.max}`;
  if (/[A-Z]/.test(name)) return 'it has upper-case letters';
  if (!LABEL.test(name)) return 'it is not a DNS label';
  if (RESERVED.has(name)) return 'it is reserved';
  return undefined;
}
