import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import type { Bundle, BundleManifest } from '../../model/image.ts';
import { hashSources } from './build-inputs.ts';
import { bundlePlaces, fileProblems, readManifest } from './find-bundle.ts';
import type { BundlePlaces } from './find-bundle.ts';
import { BUNDLE_REMEDY } from './manifest.ts';

/** The report of `banger bundle status`. */
export type BundleStatus = {
  directory: string;
  found: boolean;
  /** The present sources would make another bundle. */
  stale: boolean;
  problems: string[];
  remedy: string | null;
  kernelVersion: string | null;
  distribution: string | null;
  builtAt: string | null;
  files: { part: string; path: string; sizeBytes: number; sha256: string; version?: string }[];
};

export type BundleStatusOptions = {
  places: BundlePlaces;
  /** Directory of the build inputs; null if they are not installed, and then nothing can be stale. */
  sourceRoot: string | null;
  /** Also hash every file, which takes seconds, because the root file system has hundreds of MB. */
  verify?: boolean;
  host: Host;
  signal?: AbortSignal;
};

/** Examines the first bundle of the search order; never throws for a missing or broken one. */
export async function bundleStatus(options: BundleStatusOptions): Promise<BundleStatus> {
  const { host } = options;
  const places = bundlePlaces(options.places);
  for (const { directory } of places) {
    try {
      const manifest = await readManifest(directory, host);
      if (manifest !== undefined) return await statusOf({ directory, manifest }, options);
    } catch (error) {
      if (!(error instanceof BangerError)) throw error;
      return { ...nothing(directory), found: true, problems: [error.message] };
    }
  }
  const directories = places.map((place) => place.directory);
  return { ...nothing(directories.at(-1) ?? ''), problems: [`there is no runtime bundle in ${directories.join(' or ')}`] };
}

function nothing(directory: string): BundleStatus {
  const unknown = { kernelVersion: null, distribution: null, builtAt: null, files: [] };
  return { directory, found: false, stale: false, problems: [], remedy: BUNDLE_REMEDY, ...unknown };
}

async function statusOf(bundle: Bundle, options: BundleStatusOptions): Promise<BundleStatus> {
  const { host, sourceRoot } = options;
  const { manifest } = bundle;
  const problems = await fileProblems(bundle, host);
  if (options.verify === true && problems.length === 0) problems.push(...(await contentProblems(bundle, host, options.signal)));
  const sources = sourceRoot === null ? undefined : await hashSources(sourceRoot);
  const stale = sources !== undefined && sources.all !== manifest.inputsHash;
  return {
    directory: bundle.directory,
    found: true,
    stale,
    problems,
    remedy: stale || problems.length > 0 ? BUNDLE_REMEDY : null,
    kernelVersion: manifest.kernelVersion,
    distribution: manifest.distribution,
    builtAt: manifest.builtAt,
    files: listFiles(manifest),
  };
}

function listFiles(manifest: BundleManifest): BundleStatus['files'] {
  return Object.entries(manifest.files).flatMap(([part, file]) => (file === undefined ? [] : [{ part, ...file }]));
}

async function contentProblems(bundle: Bundle, host: Host, signal: AbortSignal | undefined): Promise<string[]> {
  const problems: string[] = [];
  for (const { path, sha256 } of listFiles(bundle.manifest)) {
    const actual = await host.sha256File(join(bundle.directory, path), signal);
    if (actual !== sha256) problems.push(`${path} has other content than it was built with`);
  }
  return problems;
}
