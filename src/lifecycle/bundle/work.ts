import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Host } from '../../host/host.ts';
import { addPrograms, type ProgramPaths } from '../../images/bundle/add-programs.ts';
import { buildBundle } from '../../images/bundle/build-bundle.ts';
import { type BundleStatus, bundleStatus } from '../../images/bundle/bundle-status.ts';
import { fetchBundle } from '../../images/bundle/fetch-bundle.ts';
import { findBundle } from '../../images/bundle/find-bundle.ts';
import { fetchFirecracker } from '../../images/bundle/fetch-firecracker.ts';
import { leasedFiles } from '../../images/bundle/leases.ts';
import { packageBundle } from '../../images/bundle/package-bundle.ts';
import { PACKAGE_MANIFEST_NAME } from '../../images/bundle/package-manifest.ts';
import { parseReleasePin, type Release, RELEASE_PIN } from '../../images/bundle/release.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { OperationHandle, Operations } from '../../context/operations.ts';
import { BangerError } from '../../model/errors.ts';
import { filesOf, type Image } from '../../model/image.ts';
import type { Places } from './places.ts';
import { given } from '../../lib/given.ts';

/** The address of a packaged bundle's runtime-bundle.toml, and its checksum. */
export type BundleSource = { manifestUrl: string; manifestSha256?: string };

/** The `bundle` commands of the daemon. */
export type BundleWork = {
  /** Never throws for a missing or broken bundle. */
  status(): Promise<BundleStatus>;
  /** The present bundle, valid or not. */
  directory(): Promise<string | null>;
  /** @param options.programs absolute paths, copied into the bundle */
  build(options: { force: boolean; programs?: ProgramPaths }): OperationRecord;
  /** @param release default: the pinned one */
  fetchFirecracker(release?: { url: string; sha256: string }): OperationRecord;
  /** @param source default: the installation's. @throws UNSUPPORTED if it has none */
  fetch(source?: BundleSource): OperationRecord;
  /** @param options.path absolute, of the archive */
  package(options: { path: string; url?: string }): OperationRecord;
};

/** Keeps all output of an operation's tools. */
export type OutputLog = { path: string; write(line: string): void; close(): void };

type WorkContext = {
  places: Places;
  host: Host;
  openOutputLog: (operationId: string) => Promise<OutputLog>;
  operations: Operations;
  onBuilt: () => Promise<unknown>;
  /** Images with records; their files are needed. */
  images: () => Image[];
};

/** @returns the work on the bundle in `context.places` */
export function bundleWork(context: WorkContext): BundleWork {
  const { places, operations, host } = context;
  return {
    status: () => bundleStatus({ places: places.bundle, sourceRoot: places.sourceRoot, host }),
    async directory() {
      const { found, directory } = await bundleStatus({ places: places.bundle, sourceRoot: null, host });
      return found ? directory : null;
    },
    build({ force, programs }) {
      const { sourceRoot } = places;
      if (sourceRoot === null) {
        throw new BangerError('UNSUPPORTED', 'this installation has no sources to build a bundle from', {
          remedy: 'banger bundle fetch',
        });
      }
      return operations.begin('bundle.build', null, (operation) => build(context, { force, programs, sourceRoot }, operation));
    },
    fetch(named) {
      const source = named ?? { manifestUrl: manifestOfPackage(places.packageRoot) };
      return operations.begin('bundle.fetch', null, (operation) => fetchWhole(context, source, operation));
    },
    package: ({ path, url }) =>
      operations.begin('bundle.package', null, async (operation) => {
        const stages = stagesOf(operation);
        const bundle = await findBundle(places.bundle, host);
        stages.onStage('package');
        const { signal } = operation;
        await packageBundle({ bundle, path, ...given({ url }), host, signal, onProgress: stages.onProgress });
        stages.end();
      }),
    fetchFirecracker: (release) =>
      operations.begin('bundle.fetch', null, async (operation) => {
        const stages = stagesOf(operation);
        await fetchFirecracker({
          release: release ?? (await pinnedRelease(places.sourceRoot, host)),
          directory: places.buildDirectory,
          cacheDirectory: join(places.cacheDirectory, 'firecracker'),
          host,
          signal: operation.signal,
          ...stages,
        });
        stages.end();
        await context.onBuilt();
      }),
  };
}

type BuildWish = { force: boolean; programs: ProgramPaths | undefined; sourceRoot: string };

async function build(context: WorkContext, { force, programs, sourceRoot }: BuildWish, operation: OperationHandle): Promise<void> {
  const { places, host } = context;
  const output = await context.openOutputLog(operation.id);
  operation.log(`the output of its tools: ${output.path}`);
  const { superseded } = await buildBundle({
    directory: places.buildDirectory,
    sourceRoot,
    cacheDirectory: places.cacheDirectory,
    host,
    signal: operation.signal,
    force,
    onStage: ({ name, state, durationMs }) =>
      operation.journal({ name, title: name }, ({ started: 'started', kept: 'skipped', finished: 'done' } as const)[state], durationMs),
    onProgress: ({ stage, text, fraction }) => operation.progress(stage, text, fraction),
    onLog: (line) => output.write(line),
  }).finally(() => output.close());
  if (programs !== undefined) {
    await addPrograms({ directory: places.buildDirectory, programs, host, signal: operation.signal });
  }
  await context.onBuilt();
  await sweep(context, superseded);
}

async function fetchWhole(context: WorkContext, source: BundleSource, operation: OperationHandle): Promise<void> {
  const { places, host } = context;
  const stages = stagesOf(operation);
  const { superseded } = await fetchBundle({
    ...source,
    directory: places.buildDirectory,
    cacheDirectory: join(places.cacheDirectory, 'fetch'),
    host,
    signal: operation.signal,
    ...stages,
  });
  stages.end();
  await context.onBuilt();
  await sweep(context, superseded);
}

/** Removes files of former bundles that neither an image of this daemon nor another daemon needs. */
async function sweep({ images, places, host }: WorkContext, superseded: readonly string[]): Promise<void> {
  const leased = await leasedFiles(places.buildDirectory, host).catch(() => undefined);
  if (leased === undefined) return;
  const needed = new Set(images().flatMap(filesOf));
  for (const path of superseded) if (!needed.has(path) && !leased.has(basename(path))) await host.removeTree(path);
}

/** @throws UNSUPPORTED if the package contains none */
function manifestOfPackage(packageRoot: string): string {
  const path = join(packageRoot, PACKAGE_MANIFEST_NAME);
  if (existsSync(path)) return pathToFileURL(path).href;
  throw new BangerError('UNSUPPORTED', `this installation has no ${path}, so it names no bundle to fetch`, {
    remedy: 'banger bundle build',
  });
}

/** @throws UNSUPPORTED if there is no pinned release */
async function pinnedRelease(sourceRoot: string | null, host: Host): Promise<Release> {
  const path = sourceRoot === null ? RELEASE_PIN : join(sourceRoot, RELEASE_PIN);
  const text = sourceRoot === null ? undefined : await host.readIfThere(path);
  if (text !== undefined) return parseReleasePin(text, path, process.arch);
  throw new BangerError('UNSUPPORTED', `this installation lacks ${RELEASE_PIN}`, { remedy: 'give --url and --sha256' });
}

/** Reports stages that only signal their start to the operation. */
function stagesOf({ journal, progress }: OperationHandle) {
  let present: string | undefined;
  let startedAt = 0;
  const end = (): void => {
    if (present !== undefined) journal({ name: present, title: present }, 'done', Math.round(performance.now() - startedAt));
  };
  return {
    end,
    onStage: (stage: string): void => {
      end();
      [present, startedAt] = [stage, performance.now()];
      journal({ name: stage, title: stage }, 'started');
    },
    onProgress: (text: string, fraction: number | undefined): void => progress(present ?? '', text, fraction),
  };
}
