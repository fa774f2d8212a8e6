import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { ADDED_PROGRAMS, type AddedFile, type AddedProgram, type BundleManifest } from '../../model/image.ts';
import { readManifest } from './find-bundle.ts';
import { BUNDLE_REMEDY } from './manifest.ts';
import { publishManifest, publishPart } from './publish.ts';
import { given } from '../../lib/given.ts';
import { messageOf } from '../../lib/message-of.ts';

/** Absolute paths of programs to be copied into a bundle. */
export type ProgramPaths = { firecracker: string; jailer?: string };

/**
 * Copies Firecracker, and the jailer if given, into an existing bundle. At the end, `bundle.json` is replaced atomically. A jailer of
 * another version is not kept.
 * @throws BUNDLE_MISSING; PREREQUISITE_MISSING if a program does not run or is a different program
 */
export async function addPrograms(options: { directory: string; programs: ProgramPaths; host: Host; signal: AbortSignal }): Promise<void> {
  const { directory, programs, host, signal } = options;
  const manifest = await requireManifest(directory, host);
  const firecracker = await publishProgram('firecracker', programs.firecracker, options);
  const jailer = programs.jailer === undefined ? undefined : await publishProgram('jailer', programs.jailer, options);
  if (jailer !== undefined && jailer.version !== firecracker.version) {
    throw new BangerError('PREREQUISITE_MISSING', `jailer ${jailer.version} does not match firecracker ${firecracker.version}`, {
      remedy: 'use both from one release',
    });
  }
  signal.throwIfAborted();
  const { firecracker: _firecracker, jailer: formerJailer, ...files } = manifest.files;
  const kept = formerJailer?.version === firecracker.version ? formerJailer : undefined;
  const withJailer = jailer ?? kept;
  const changed: BundleManifest = {
    ...manifest,
    files: { ...files, firecracker, ...given({ jailer: withJailer }) },
  };
  await publishManifest(directory, changed, host);
}

/** @throws BUNDLE_MISSING if there is no bundle to which a program can be added */
export async function requireManifest(directory: string, host: Host): Promise<BundleManifest> {
  const manifest = await readManifest(directory, host);
  if (manifest !== undefined) return manifest;
  throw new BangerError('BUNDLE_MISSING', `There is no runtime bundle in ${directory}.`, { remedy: BUNDLE_REMEDY });
}

async function publishProgram(
  name: AddedProgram,
  path: string,
  { directory, host, signal }: { directory: string; host: Host; signal: AbortSignal },
): Promise<AddedFile> {
  const version = await askVersion(name, path, host, signal);
  const output = { path, sha256: await host.sha256File(path, signal), sizeBytes: (await host.fileSize(path)).bytes };
  return { ...(await publishPart(name, output, directory, host)), version };
}

async function askVersion(name: AddedProgram, path: string, host: Host, signal: AbortSignal): Promise<string> {
  const printed = await host.run([path, '--version'], { timeoutMs: 10_000, signal }).then(
    ({ stdout }) => stdout,
    (error: unknown) => messageOf(error),
  );
  const version = new RegExp(`^${name} v(\\d[\\w.-]*)`, 'i').exec(printed)?.[1];
  if (version !== undefined) return version;
  const said = printed.split('\n')[0]?.slice(0, 200);
  throw new BangerError('PREREQUISITE_MISSING', `${path} is not a ${name} that runs here: ${said}`, {
    remedy: `give the path of a ${name} program for this machine`,
  });
}

/** @returns the programs of a bundle that are complete; a new build keeps them */
export async function keptPrograms(directory: string, host: Host): Promise<Partial<Record<AddedProgram, AddedFile>>> {
  const manifest = await readManifest(directory, host).catch(() => undefined);
  const kept: Partial<Record<AddedProgram, AddedFile>> = {};
  for (const name of ADDED_PROGRAMS) {
    const file = manifest?.files[name];
    if (file === undefined) continue;
    const path = join(directory, file.path);
    if ((await host.exists(path)) && (await host.sha256File(path)) === file.sha256) kept[name] = file;
  }
  return kept;
}
