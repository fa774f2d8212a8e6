import { join, resolve } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import type { Bundle, BundleManifest } from '../../model/image.ts';
import { BUNDLE_REMEDY, MANIFEST_NAME, parseManifest } from './manifest.ts';

/** The places of bundles. The first three are named by the user; the others are the usual places. */
export type BundlePlaces = {
  flag?: string;
  env?: string;
  config?: string;
  /** For one user of an installation, below the state directory. */
  own?: string;
  /** `../lib/banger` of the installed program. */
  besideProgram: string;
  /** `runtime` of a source checkout; null if the program does not run from one. */
  checkout: string | null;
};

export type BundlePlace = {
  directory: string;
  source: 'flag' | 'environment' | 'config' | 'own' | 'program' | 'checkout';
  required: boolean;
};

/**
 * The search order. If the user names a place, it is the only one: falling back to another bundle would hide a mistake.
 */
export function bundlePlaces(places: BundlePlaces): BundlePlace[] {
  const named = [
    { directory: places.flag, source: 'flag' },
    { directory: places.env, source: 'environment' },
    { directory: places.config, source: 'config' },
  ] as const;
  for (const { directory, source } of named) {
    if (directory !== undefined && directory !== '') return [{ directory: resolve(directory), source, required: true }];
  }
  const usual: BundlePlace[] = places.own === undefined ? [] : [{ directory: resolve(places.own), source: 'own', required: false }];
  usual.push({ directory: resolve(places.besideProgram), source: 'program', required: false });
  if (places.checkout !== null) usual.push({ directory: resolve(places.checkout), source: 'checkout', required: false });
  return usual;
}

/**
 * Finds the runtime bundle and checks that all its files exist with the right sizes; `bundleStatus` can verify their content.
 * @throws BangerError BUNDLE_MISSING if no place has a `bundle.json`, BUNDLE_BROKEN if the bundle is unusable
 */
export async function findBundle(places: BundlePlaces, host: Host): Promise<Bundle> {
  const candidates = bundlePlaces(places);
  for (const { directory } of candidates) {
    const manifest = await readManifest(directory, host);
    if (manifest === undefined) continue;
    const problems = await fileProblems({ directory, manifest }, host);
    if (problems.length === 0) return { directory, manifest };
    throw new BangerError('BUNDLE_BROKEN', `The runtime bundle in ${directory} is broken: ${problems.join('; ')}.`, {
      remedy: BUNDLE_REMEDY,
      details: { directory, problems },
    });
  }
  const directories = candidates.map((place) => place.directory);
  throw new BangerError('BUNDLE_MISSING', `There is no runtime bundle in ${directories.join(' or ')}.`, {
    remedy: BUNDLE_REMEDY,
    details: { directories },
  });
}

/**
 * @returns the manifest, or undefined if the directory has none
 * @throws BangerError BUNDLE_BROKEN if it is unreadable
 */
export async function readManifest(directory: string, host: Host): Promise<BundleManifest | undefined> {
  const path = join(directory, MANIFEST_NAME);
  const text = await host.readIfThere(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') return undefined;
    throw new BangerError('BUNDLE_BROKEN', `The runtime bundle in ${directory} cannot be read: ${error.message}.`, {
      cause: error,
      remedy: BUNDLE_REMEDY,
      details: { directory },
    });
  });
  return text === undefined ? undefined : parseManifest(text, path);
}

/** @returns a sentence for every file that is missing or has another size than `bundle.json` says */
export async function fileProblems(bundle: Bundle, host: Host): Promise<string[]> {
  const problems: string[] = [];
  for (const file of Object.values(bundle.manifest.files)) {
    if (file === undefined) continue;
    const path = join(bundle.directory, file.path);
    if (!(await host.exists(path))) problems.push(`${file.path} is missing`);
    else {
      const { bytes } = await host.fileSize(path);
      if (bytes !== file.sizeBytes) problems.push(`${file.path} has ${bytes} bytes instead of ${file.sizeBytes}`);
    }
  }
  return problems;
}
