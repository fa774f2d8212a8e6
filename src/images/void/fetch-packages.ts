import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import { download, readBytes } from '../bundle/download.ts';
import { distrust } from './problem.ts';
import { ARCHITECTURE, type IndexedPackage, MOST_INDEX_BYTES, readRepository, type Repository } from './repository.ts';
import { isSigned, type TrustedKey } from './signature.ts';

export type Mirror = {
  /** Address of the directory with `x86_64-repodata`. */
  url: string;
  /** Keeps packages by content. */
  cacheDirectory: string;
  keys: ReadonlyMap<string, TrustedKey>;
  host: Host;
  signal: AbortSignal;
};

/** The index, and the known key that must have signed each of its packages. */
export type TrustedRepository = Repository & { key: TrustedKey };

/** A package of Void has at most some 700 MiB. */
const MOST_PACKAGE_BYTES = 1024 ** 3;
const MOST_BYTES = 8 * 1024 ** 3;
/** RSA of up to 16384 bits. */
const MOST_SIGNATURE_BYTES = 2048;
const AT_ONCE = 4;

/**
 * Reads the index. It has no signature: a mirror can withhold new versions, but each package is signed and contains its own version, so
 * that none can be forged or replaced by another.
 * @throws DOWNLOAD_FAILED if it is unavailable, damaged, unsigned, or signed by an unknown key
 */
export async function fetchRepository(mirror: Mirror): Promise<TrustedRepository> {
  const address = `${mirror.url.replace(/\/$/, '')}/${ARCHITECTURE}-repodata`;
  const bytes = await readBytes(address, MOST_INDEX_BYTES, mirror.signal).catch((error: unknown) => {
    mirror.signal.throwIfAborted();
    throw withMirror(error);
  });
  const repository = await readRepository(bytes, mirror.signal);
  if (repository.keySha256 === undefined) throw distrust('it is not signed', { remedy: 'sign it: xbps-rindex --sign and --sign-pkg' });
  const key = mirror.keys.get(repository.keySha256);
  if (key !== undefined) return { ...repository, key };
  throw distrust(
    `it is signed by ${JSON.stringify(repository.signedBy.slice(0, 80))} with a key that is not known here (SHA-256 ${repository.keySha256})`,
    {
      remedy: 'if you trust it, put the public key into the directory that void.keys of config.toml names',
    },
  );
}

function withMirror(error: unknown): unknown {
  if (!(error instanceof BangerError)) return error;
  return new BangerError(error.code, error.message, {
    remedy: 'name a mirror that can be reached (void.mirror in config.toml)',
    cause: error,
  });
}

/** @throws NO_SPACE, DOWNLOAD_FAILED before any download */
export async function checkSizes(packages: readonly IndexedPackage[], { host, cacheDirectory }: Mirror): Promise<void> {
  const large = packages.find(({ sizeBytes }) => sizeBytes > MOST_PACKAGE_BYTES);
  if (large !== undefined) throw distrust(`${large.pkgver} is said to have ${formatSize(large.sizeBytes)}`);
  const total = packages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const installed = packages.reduce((sum, { installedBytes }) => sum + installedBytes, 0);
  if (total > MOST_BYTES) throw distrust(`the packages are said to have ${formatSize(total)}`);
  const free = await host.freeBytes(cacheDirectory);
  // The root file system is written beside the packages twice: once as it is assembled, once as the disk of the VM that configures it.
  const needed = total + 2 * installed;
  if (free >= needed) return;
  throw new BangerError(
    'NO_SPACE',
    `the packages and the image take ${formatSize(needed)}; there are ${formatSize(free)} below ${cacheDirectory}`,
    {
      remedy: 'free some space, or set BANGER_CACHE_DIR and BANGER_STATE_DIR to directories that have more',
    },
  );
}

/**
 * Downloads missing packages, several at once; verifies size, content and signature of each.
 * @returns their paths, in order
 * @throws DOWNLOAD_FAILED
 */
export async function fetchPackages(
  mirror: Mirror,
  key: TrustedKey,
  packages: readonly IndexedPackage[],
  onFetched: (one: IndexedPackage, done: number) => void,
): Promise<string[]> {
  await mirror.host.makePrivateDirectory(mirror.cacheDirectory);
  const paths: string[] = Array.from({ length: packages.length }, () => '');
  const stop = new AbortController();
  const inside = { ...mirror, signal: AbortSignal.any([mirror.signal, stop.signal]) };
  const queue = packages.entries();
  let done = 0;
  const work = async (): Promise<void> => {
    for (const [at, one] of queue) {
      paths[at] = await fetchPackage(inside, key, one);
      onFetched(one, ++done);
    }
  };
  const workers = Array.from({ length: AT_ONCE }, work);
  try {
    await Promise.all(workers);
  } catch (error) {
    // The first failure cancels the others, and nothing is written after it is reported.
    stop.abort();
    await Promise.allSettled(workers);
    throw error;
  }
  return paths;
}

async function fetchPackage(mirror: Mirror, key: TrustedKey, one: IndexedPackage): Promise<string> {
  const { host, signal } = mirror;
  const url = `${mirror.url.replace(/\/$/, '')}/${one.pkgver}.${one.architecture}.xbps`;
  const path = join(mirror.cacheDirectory, `${one.sha256}.xbps`);
  const { sha256, sizeBytes } = one;
  await download({ release: { url, sha256, sizeBytes }, path, host, signal, onProgress: () => undefined });
  // The digest alone verifies a file that is in the cache already.
  if ((await stat(path)).size !== sizeBytes) throw distrust(`${one.pkgver} has another size than the index says`);
  await checkSignature(path, `${url}.sig2`, key, { one, mirror });
  return path;
}

async function checkSignature(
  path: string,
  url: string,
  key: TrustedKey,
  { one, mirror }: { one: IndexedPackage; mirror: Mirror },
): Promise<void> {
  const { host, signal } = mirror;
  const kept = `${path}.sig2`;
  if ((await host.exists(kept)) && (await isSigned(path, await readFile(kept), key, signal))) return;
  const signature = await readBytes(url, MOST_SIGNATURE_BYTES, signal);
  if (!(await isSigned(path, signature, key, signal))) {
    await host.removeTree(path);
    throw distrust(`the signature of ${one.pkgver} is not by the key of the repository (${key.fingerprint})`);
  }
  await host.writeFileAtomic(kept, signature);
}
