// The index of a repository: `x86_64-repodata`, a tar of index.plist, index-meta.plist and stage.plist (xbps-rindex(1)).
import { createHash, createPublicKey } from 'node:crypto';
import { readTar, TarProblem } from '../../lib/tar.ts';
import { BangerError } from '../../model/errors.ts';
import { Allowance, type ByteSource, decompressed } from '../import/bytes.ts';
import { eachMember, parseDictionary, type Plist, type PlistDictionary, PlistProblem } from './plist.ts';
import { distrust, ofRepository } from './problem.ts';
import { splitPkgver } from './version.ts';

/** What the index says about one package. It is proven only once the package itself is downloaded and its signature verified. */
export type IndexedPackage = {
  name: string;
  /** `foo-1.0_1`. */
  pkgver: string;
  version: string;
  architecture: string;
  sizeBytes: number;
  sha256: string;
  installedBytes: number;
  runDepends: string[];
  provides: string[];
  conflicts: string[];
  replaces: string[];
  shlibProvides: string[];
  shlibRequires: string[];
  /** Links by group, `LINK:TARGET` each; the first package of a group has them (xbps-alternatives(1)). */
  alternatives: ReadonlyMap<string, string[]>;
  /** The whole entry, as xbps stores it for an installed package. */
  properties: PlistDictionary;
};

export type Repository = {
  packages: ReadonlyMap<string, IndexedPackage>;
  /** Why a package is unusable. One among ten thousand does not matter until it is needed. */
  unusable: ReadonlyMap<string, BangerError>;
  /** SHA-256 (SPKI, DER) of the key by which the repository says its packages are signed; undefined: they are not signed. */
  keySha256: string | undefined;
  signedBy: string;
};

export const ARCHITECTURE = 'x86_64';
/** Void's own index has some 2 MiB, which unpack to 30. */
export const MOST_INDEX_BYTES = 64 * 1024 ** 2;
const MOST_UNPACKED_BYTES = 512 * 1024 ** 2;
const MOST_PACKAGES = 200_000;

/** @param bytes of `x86_64-repodata`. @throws DOWNLOAD_FAILED if it is damaged or malformed */
export async function readRepository(bytes: Buffer, signal: AbortSignal): Promise<Repository> {
  try {
    const files = await readMembers(bytes, signal);
    const index = files.get('index.plist');
    if (index === undefined) throw distrust('there is no index.plist in its index');
    const packages = new Map<string, IndexedPackage>();
    const unusable = new Map<string, BangerError>();
    const add = (name: string, value: Plist): void => {
      const found = packageOf(name, value);
      if (found instanceof BangerError) unusable.set(name, found);
      else packages.set(name, found);
      if (packages.size + unusable.size > MOST_PACKAGES) throw distrust(`its index names more than ${MOST_PACKAGES} packages`);
    };
    if (index.length > 0) await eachMember(index.toString('utf8'), add);
    return { packages, unusable, ...signerOf(files.get('index-meta.plist') ?? Buffer.alloc(0)) };
  } catch (error) {
    if (error instanceof PlistProblem || error instanceof TarProblem) throw distrust(`its index is damaged: ${error.message}`);
    throw ofRepository(error, 'its index');
  }
}

const MEMBERS: ReadonlySet<string> = new Set(['index.plist', 'index-meta.plist', 'stage.plist']);

async function readMembers(bytes: Buffer, signal: AbortSignal): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const source: ByteSource = {
    name: `${ARCHITECTURE}-repodata`,
    sizeBytes: bytes.length,
    async *open() {
      yield bytes;
    },
  };
  let present: { path: string; chunks: Buffer[] } | undefined;
  await readTar(decompressed(source, new Allowance(MOST_UNPACKED_BYTES), signal), {
    entry: async ({ path, type }) => {
      if (type !== 'file' || !MEMBERS.has(path) || files.has(path)) throw distrust('its index is malformed');
      present = { path, chunks: [] };
    },
    content: async (chunk) => void present?.chunks.push(Buffer.from(chunk)),
    entryEnd: async () => {
      if (present !== undefined) files.set(present.path, Buffer.concat(present.chunks));
    },
  });
  return files;
}

/** @returns why the package is unusable, if it is */
function packageOf(name: string, value: Plist): IndexedPackage | BangerError {
  const problem = (what: string): BangerError => distrust(`its index says of ${JSON.stringify(name.slice(0, 80))} ${what}`);
  if (!(value instanceof Map)) return problem('an entry that is malformed');
  const text = (key: string): string => {
    const found = value.get(key);
    return typeof found === 'string' ? found : '';
  };
  const [pkgver, sha256, architecture] = [text('pkgver'), text('filename-sha256'), text('architecture')];
  const split = splitPkgver(pkgver);
  if (split === undefined || split.name !== name) return problem(`that it is ${JSON.stringify(pkgver.slice(0, 80))}`);
  if (!/^[0-9a-f]{64}$/.test(sha256)) return problem('no SHA-256');
  if (architecture !== ARCHITECTURE && architecture !== 'noarch')
    return problem(`that it is for ${JSON.stringify(architecture.slice(0, 40))}`);
  const sizes = [value.get('filename-size') ?? 0, value.get('installed_size') ?? 0].filter((size) => typeof size === 'number' && size >= 0);
  const [sizeBytes, installedBytes] = sizes as number[];
  if (sizeBytes === undefined || installedBytes === undefined) return problem('no size');
  const lists = LISTS.map((key) => textsOf(value.get(key)));
  const bad = lists.indexOf(undefined);
  if (bad >= 0) return problem(`no list of ${LISTS[bad]}`);
  const alternatives = alternativesOf(value.get('alternatives'));
  if (alternatives === undefined) return problem('no alternatives');
  const [runDepends = [], provides = [], conflicts = [], replaces = [], shlibProvides = [], shlibRequires = []] = lists as string[][];
  return {
    ...{ name, pkgver, version: split.version, architecture, sha256, sizeBytes, installedBytes },
    ...{ runDepends, provides, conflicts, replaces, shlibProvides, shlibRequires },
    ...{ alternatives, properties: value },
  };
}

const LISTS = ['run_depends', 'provides', 'conflicts', 'replaces', 'shlib-provides', 'shlib-requires'] as const;

function textsOf(value: Plist | undefined): string[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return undefined;
  const texts = value.filter((one) => typeof one === 'string');
  return texts.length === value.length ? texts : undefined;
}

function alternativesOf(value: Plist | undefined): Map<string, string[]> | undefined {
  if (value === undefined) return new Map();
  if (!(value instanceof Map)) return undefined;
  const groups = new Map<string, string[]>();
  for (const [group, links] of value) {
    const texts = textsOf(links);
    if (texts === undefined) return undefined;
    groups.set(group, texts);
  }
  return groups;
}

function signerOf(meta: Buffer): Pick<Repository, 'keySha256' | 'signedBy'> {
  // For an unsigned repository the file is empty, or has a word that older tools wrote.
  if (meta.length === 0 || meta.equals(Buffer.from('DEADBEEF'))) return { keySha256: undefined, signedBy: '' };
  const dictionary = parseDictionary(meta.toString('utf8'));
  const [pem, signedBy] = [dictionary.get('public-key'), dictionary.get('signature-by')];
  if (!Buffer.isBuffer(pem)) throw distrust('it does not say which key signs it');
  try {
    const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
    return { keySha256: createHash('sha256').update(der).digest('hex'), signedBy: typeof signedBy === 'string' ? signedBy : '' };
  } catch (error) {
    throw distrust('the key that it names cannot be read', { cause: error });
  }
}
