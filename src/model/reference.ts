// The one rule for references to a VM, an image or an operation. The daemon and the CLI both use it.
import { nearest } from '../lib/nearest.ts';
import { BangerError } from './errors.ts';
import { given } from '../lib/given.ts';

/** What a reference can name. Operations have an id and no name. */
export type Referent = { id: string; name?: string };

/** Where to look. `find` and `findByName` are fast; `list` need not be. */
export type Known<T extends Referent> = {
  find(id: string): T | undefined;
  findByName(name: string): T | undefined;
  list(): readonly T[];
};

export type ReferenceKind = 'VM' | 'image' | 'operation' | 'template';

/** A shorter beginning of an id is more likely a mistyped name. */
const ID_PREFIX = /^[0-9a-f]{4,32}$/;
/** How much of a wrong reference an error repeats. */
const SHOWN_CHARACTERS = 80;

/** @returns the members of a list as a place to look */
export function among<T extends Referent>(all: readonly T[]): Known<T> {
  return {
    find: (id) => all.find((one) => one.id === id),
    findByName: (name) => all.find((one) => one.name === name),
    list: () => all,
  };
}

/**
 * Finds what a user means by a name, an id, or at least the first four digits of one id. A name takes precedence over an id, and a whole id
 * over the beginning of another. A VM may be written as in a URL or for ssh: `dev@web.vm` is `web`.
 * @throws NOT_FOUND with a similar name, AMBIGUOUS_REFERENCE with all matches
 */
export function resolveReference<T extends Referent>(kind: ReferenceKind, known: Known<T>, typed: string): T {
  const exact = findExactly(kind, known, typed);
  if (exact !== undefined) return exact;
  const reference = bare(kind, typed);
  const all = known.list();
  const matches = ID_PREFIX.test(reference) ? all.filter(({ id }) => id.startsWith(reference)) : [];
  const [only] = matches;
  if (only === undefined) throw notFound(kind, all, reference);
  if (matches.length > 1) throw ambiguous(matches, reference);
  return only;
}

/** @returns the one with exactly this name or id */
export function findExactly<T extends Referent>(kind: ReferenceKind, known: Known<T>, typed: string): T | undefined {
  const reference = bare(kind, typed);
  return known.findByName(reference) ?? known.find(reference);
}

function bare(kind: ReferenceKind, typed: string): string {
  return kind === 'VM' ? vmNameOf(typed) : typed;
}

function notFound(kind: ReferenceKind, all: readonly Referent[], reference: string): BangerError {
  const shown = reference.slice(0, SHOWN_CHARACTERS);
  const near = nearest(
    reference,
    all.flatMap(({ name }) => name ?? []),
  );
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return new BangerError('NOT_FOUND', `there is no ${kind} ${JSON.stringify(shown)}${hint}`, {
    remedy: `banger ${kind.toLowerCase()} list`,
    details: { reference: shown },
  });
}

function ambiguous(matches: readonly Referent[], reference: string): BangerError {
  const names = matches.map(({ id, name }) => name ?? id);
  const hasNames = matches.every(({ name }) => name !== undefined);
  return new BangerError('AMBIGUOUS_REFERENCE', `${reference} could be ${names.join(' or ')}`, {
    remedy: hasNames ? `use a name: ${names.join(', ')}` : `use more digits of the id: ${names.join(', ')}`,
    details: { reference, matches: names },
  });
}

/** A login name as in shadow-utils, and the characters that other systems allow besides. */
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/;

/**
 * Reads `web`, `web.vm`, `dev@web` and `dev@web.vm`, the forms in which ssh and users write a VM.
 * @returns name, id or beginning of an id, and the user if it names one
 * @throws INVALID_INPUT for an invalid user name
 */
export function readVmReference(text: string): { user?: string; name: string } {
  const at = text.lastIndexOf('@');
  const user = at < 0 ? undefined : text.slice(0, at);
  if (user !== undefined && !USER.test(user)) {
    throw new BangerError('INVALID_INPUT', `${JSON.stringify(user.slice(0, SHOWN_CHARACTERS))} is not the name of a user`, {
      remedy: 'write NAME, or USER@NAME',
      details: { value: text.slice(0, SHOWN_CHARACTERS) },
    });
  }
  return { ...given({ user }), name: vmNameOf(text) };
}

/** @returns the reference without a user in front and without `.vm` at the end */
function vmNameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf('@') + 1).replace(/\.vm\.?$/, '');
}
