// xbps's database of installed packages (xbps.d(5), "FILES"; lib/package_register.c and package_alternatives.c show its content). banger
// writes it as if xbps had unpacked the packages, so that xbps can configure them, and install and remove others.
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { encodeTarHeader, type TarEntry, tarEnd, tarPadding } from '../../lib/tar.ts';
import type { PackageFile } from './package-file.ts';
import { type Plist, type PlistDictionary, renderPlist } from './plist.ts';
import { ARCHITECTURE, type Repository } from './repository.ts';
import type { TrustedKey } from './signature.ts';
import { distrust } from './problem.ts';

const DATABASE = 'var/db/xbps';
/** Where the packages' scripts wait until they run in the guest, which removes them. */
export const SCRIPTS = 'var/lib/banger/install';

export type Books = {
  /** In the order of installation. */
  packages: readonly PackageFile[];
  key: TrustedKey;
  repository: Pick<Repository, 'signedBy'>;
  /** The mirror from which the guest installs packages; null: xbps's default. */
  mirror: string | null;
  installedAt: Date;
};

/** @returns a tar of all that xbps stores besides the packages' files */
export function renderBooks(books: Books): Buffer {
  const { packages, mirror } = books;
  const groups = alternativesOf(packages);
  return tarOf([
    directory('root', 0o700),
    directory('tmp', 0o1777),
    directory('var/tmp', 0o1777),
    file(`${DATABASE}/pkgdb-0.38.plist`, renderPlist(pkgdb(books, groups))),
    file(`${DATABASE}/keys/${books.key.fingerprint}.plist`, renderPlist(keyEntry(books))),
    ...packages.map(({ one, files }) => file(`${DATABASE}/.${one.name}-files.plist`, files)),
    // Replaces the file of this name in /usr/share/xbps.d.
    ...(mirror === null ? [] : [file('etc/xbps.d/00-repository-main.conf', `repository=${mirror}\n`)]),
    ...links(packages, groups),
    ...scripts(packages),
  ]);
}

type Groups = ReadonlyMap<string, string[]>;

/** @returns names of packages by group; the first package has the links */
function alternativesOf(packages: readonly PackageFile[]): Groups {
  const groups = new Map<string, string[]>();
  for (const { one } of packages) for (const group of one.alternatives.keys()) groups.set(group, [...(groups.get(group) ?? []), one.name]);
  return groups;
}

function pkgdb({ packages, mirror, installedAt }: Books, groups: Groups): PlistDictionary {
  const database: PlistDictionary = new Map();
  if (groups.size > 0) database.set('_XBPS_ALTERNATIVES_', new Map<string, Plist>(groups));
  const date = `${installedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  for (const { one, files, automatic, install, remove } of packages) {
    const entry: PlistDictionary = new Map(one.properties);
    entry.set('state', 'unpacked');
    if (mirror !== null) entry.set('repository', mirror);
    entry.set('install-date', date);
    entry.set('metafile-sha256', createHash('sha256').update(files).digest('hex'));
    if (automatic) entry.set('automatic-install', true);
    if (install !== undefined) entry.set('install-script', install);
    if (remove !== undefined) entry.set('remove-script', remove);
    // The name is the key of the entry.
    for (const key of ['pkgname', 'version']) entry.delete(key);
    database.set(one.name, entry);
  }
  return database;
}

function keyEntry({ key, repository }: Books): PlistDictionary {
  return new Map<string, Plist>([
    ['public-key', key.pem],
    ['public-key-size', key.key.asymmetricKeyDetails?.modulusLength ?? 0],
    ['signature-by', repository.signedBy],
  ]);
}

/** `LINK:TARGET`; a relative link starts in its target's directory (xbps-alternatives(1)). */
function links(packages: readonly PackageFile[], groups: Groups): Piece[] {
  return packages.flatMap(({ one }) =>
    [...one.alternatives].flatMap(([group, texts]) => {
      if (groups.get(group)?.[0] !== one.name) return [];
      return texts.map((text) => {
        const [link = '', target = '', ...rest] = text.split(':');
        if (link === '' || !target.startsWith('/') || rest.length > 0)
          throw distrust(`${one.pkgver} has an alternative ${JSON.stringify(text.slice(0, 120))}`);
        const path = link.startsWith('/') ? link : posix.join(posix.dirname(target), link);
        return symlink(path.slice(1), posix.relative(posix.dirname(path), target));
      });
    }),
  );
}

/** The script that configures the packages finds their scripts in order, with their arguments. */
function scripts(packages: readonly PackageFile[]): Piece[] {
  const pieces: Piece[] = [];
  const order: string[] = [];
  for (const [at, { one, install }] of packages.entries()) {
    const script = install === undefined ? '-' : `/${SCRIPTS}/${String(at).padStart(4, '0')}`;
    if (install !== undefined) pieces.push({ ...file(script.slice(1), install), mode: 0o755 });
    order.push(`${one.name} ${one.version} ${script}\n`);
  }
  return [...pieces, file(`${SCRIPTS}/order`, order.join('')), file(`${SCRIPTS}/architecture`, `${ARCHITECTURE}\n`)];
}

type Piece = Parameters<typeof encodeTarHeader>[0] & { body: Buffer };

const entry = (path: string): TarEntry => ({ path, type: 'file', mode: 0o644, sizeBytes: 0, modifiedMs: 0, linkPath: '' });
const directory = (path: string, mode: number): Piece => ({ ...entry(path), type: 'directory', mode, body: Buffer.alloc(0) });
const symlink = (path: string, linkPath: string): Piece => ({
  ...entry(path),
  type: 'symlink',
  mode: 0o777,
  linkPath,
  body: Buffer.alloc(0),
});

function file(path: string, content: string | Buffer): Piece {
  const body = Buffer.from(content);
  return { ...entry(path), type: 'file', sizeBytes: body.length, body };
}

function tarOf(pieces: readonly Piece[]): Buffer {
  const blocks = pieces.flatMap(({ body, ...piece }) => [encodeTarHeader(piece), body, tarPadding(body.length)]);
  return Buffer.concat([...blocks, tarEnd()]);
}
