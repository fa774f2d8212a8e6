import { nearest } from '../lib/nearest.ts';
import { BangerError } from '../model/errors.ts';

const HEX_PREFIX = /^[0-9a-f]{4,32}$/;

/**
 * Finds what a user means by name, id, or a prefix of its id of at least 4 digits. A name wins over a prefix.
 * @throws NOT_FOUND, AMBIGUOUS_REFERENCE
 */
export function resolveReference<Named extends { id: string; name: string }>(
  noun: 'VM' | 'image',
  all: readonly Named[],
  reference: string,
): Named {
  const exact = all.find(({ name }) => name === reference) ?? all.find(({ id }) => id === reference);
  if (exact !== undefined) return exact;
  const matches = HEX_PREFIX.test(reference) ? all.filter(({ id }) => id.startsWith(reference)) : [];
  const [only] = matches;
  if (only !== undefined && matches.length === 1) return only;
  if (matches.length > 1) {
    const names = matches.map(({ name }) => name);
    throw new BangerError('AMBIGUOUS_REFERENCE', `${reference} could be ${names.join(' or ')}`, {
      remedy: 'use the name, or more digits of the id',
      details: { matches: names },
    });
  }
  const near = nearest(
    reference,
    all.map(({ name }) => name),
  );
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  throw new BangerError('NOT_FOUND', `there is no ${noun} ${JSON.stringify(reference.slice(0, 80))}${hint}`, {
    remedy: `banger ${noun.toLowerCase()} list`,
    details: { reference: reference.slice(0, 80) },
  });
}
