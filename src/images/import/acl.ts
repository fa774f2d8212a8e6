// Access control lists as text, the form in archives (star(4), tar(5) of libarchive: `SCHILY.acl.access`, `SCHILY.acl.default`), converted
// to the attribute that the kernel stores (acl(5); linux/posix_acl_xattr.h).
import { Buffer } from 'node:buffer';
import { refusal, shown } from './problem.ts';

/** The file attribute of a list, by the list's name in archives. */
export const ACL_ATTRIBUTES = { access: 'system.posix_acl_access', default: 'system.posix_acl_default' } as const;

/** @returns the number of a name in the image; undefined if it has no such name */
export type IdOf = (kind: 'user' | 'group', name: string) => number | undefined;

type Entry = { tag: number; permissions: number; id: number };

const VERSION = 2;
/** The id of entries that name no user or group. */
const NO_ID = 0xffff_ffff;
/** By the first word of an entry, and whether a name follows. The kernel wants them in this order. */
const TAGS = { user: [1, 2], group: [4, 8], mask: [16, undefined], other: [32, undefined] } as const;
const [NAMED_USER, GROUP, NAMED_GROUP, MASK] = [2, 4, 8, 16];

/**
 * @param text entries separated by commas or lines, each as getfacl(1) writes it, with the number behind a name if bsdtar knew it
 * @returns the value of the attribute; undefined for an empty list
 * @throws INVALID_INPUT for malformed text, or a name that the image does not have
 */
export function aclAttribute(text: string, path: string, idOf: IdOf): Buffer | undefined {
  const words = text.split(/[,\n]/).map((word) => word.replace(/#.*$/, '').trim());
  const entries = words.filter((word) => word !== '').map((word) => entryOf(word, path, idOf));
  if (entries.length === 0) return undefined;
  const isShared = ({ tag }: Entry): boolean => tag === NAMED_USER || tag === GROUP || tag === NAMED_GROUP;
  if (!entries.some(({ tag }) => tag === MASK) && entries.some(({ tag }) => tag === NAMED_USER || tag === NAMED_GROUP)) {
    const permissions = entries.filter(isShared).reduce((all, one) => all | one.permissions, 0);
    entries.push({ tag: MASK, permissions, id: NO_ID });
  }
  return encode(entries.toSorted((one, other) => one.tag - other.tag || one.id - other.id));
}

function entryOf(word: string, path: string, idOf: IdOf): Entry {
  // Some tools write `mask:rwx` without the empty name.
  const found = /^(?:default:|d:)?(user|group|mask|other|[ugmo]):(?:([^:]*):)?([rwx-]{1,3})(?::(\d+))?$/.exec(word);
  if (found === null) throw refusal(`${shown(word)} in the access list of ${shown(path)} is not a valid entry`);
  const [, kind = '', name = '', letters = '', number] = found;
  const [tag, named] = Object.entries(TAGS).find(([long]) => long.startsWith(kind))?.[1] ?? [0];
  const permissions = (letters.includes('r') ? 4 : 0) | (letters.includes('w') ? 2 : 0) | (letters.includes('x') ? 1 : 0);
  if (name === '') return { tag, permissions, id: NO_ID };
  if (named === undefined) throw refusal(`${shown(word)} in the access list of ${shown(path)} is not a valid entry`);
  const told = number ?? (/^\d+$/.test(name) ? name : undefined);
  const id = told === undefined ? idOf(named === NAMED_USER ? 'user' : 'group', name) : Number(told);
  if (id === undefined || id >= NO_ID) {
    throw refusal(
      `the access list of ${shown(path)} names the ${kind} ${shown(name)}, which the image does not have`,
      `remove it from the list before you write the archive: setfacl -x ${kind}:${name} FILE`,
    );
  }
  return { tag: named, permissions, id };
}

function encode(entries: readonly Entry[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(VERSION);
  for (const [at, { tag, permissions, id }] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * at);
    bytes.writeUInt16LE(permissions, 6 + 8 * at);
    bytes.writeUInt32LE(id, 8 + 8 * at);
  }
  return bytes;
}

/** @returns the numbers of names, from the text of passwd(5) or group(5); for a duplicate name, the first counts */
export function numbersIn(text: string): Map<string, number> {
  const lines = text.split('\n').map((line) => line.split(':'));
  const known = lines.filter(([name, , id]) => name !== undefined && name !== '' && /^\d+$/.test(id ?? ''));
  return new Map(known.toReversed().map(([name = '', , id]) => [name, Number(id)]));
}
