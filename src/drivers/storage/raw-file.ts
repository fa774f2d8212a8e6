// Disks that are plain files: work disks of every driver, and root disks of some. Cloned if the file system can do that, otherwise copied
// without their holes.
import { BangerError } from '../../model/errors.ts';
import type { Disk, Disks, RootDisks, WorkDisks } from './contract.ts';
import { storageError } from './storage-error.ts';

/** What disks in files need of the host. */
export type DiskHost = {
  reflink(from: string, to: string): Promise<boolean>;
  sparseCopy(from: string, to: string, signal?: AbortSignal): Promise<void>;
  extendSparse(path: string, sizeBytes: number): Promise<void>;
  setLength(path: string, sizeBytes: number): Promise<void>;
  makeExt4(path: string, label: string, signal?: AbortSignal): Promise<void>;
  writeFileAtomic(path: string, content: string): Promise<void>;
  readHead(path: string, bytes: number): Promise<Uint8Array>;
  fileSize(path: string): Promise<{ bytes: number; allocatedBytes: number }>;
  exists(path: string): Promise<boolean>;
  removeTree(path: string): Promise<void>;
};

/** An empty work disk has this size until it is grown, which costs nothing. */
const EMPTY_DISK_BYTES = 512 * 1024 ** 2;
const WORK_LABEL = 'banger-work';

/** Root disks that hold all of their content themselves. */
export function rawRootDisks(host: DiskHost): RootDisks {
  return {
    ...rawDisks(host),
    create: ({ path, basePath, sizeBytes }, signal) =>
      makeDisk(host, { path, what: `cannot copy ${basePath}`, signal }, async () => {
        await cloneFile(host, basePath, path, signal);
        await host.extendSparse(path, sizeBytes);
      }),
    attach: ({ path }) => Promise.resolve({ path, format: 'raw' }),
  };
}

/** The work disks of every driver. */
export function workDisks(host: DiskHost): WorkDisks {
  return {
    ...rawDisks(host),
    create: ({ path, seedPath, sizeBytes }, signal) =>
      makeDisk(host, { path, what: `cannot make the work disk ${path}`, signal }, async () => {
        if (seedPath === null) await makeEmpty(host, path, Math.min(sizeBytes, EMPTY_DISK_BYTES), signal);
        else await cloneFile(host, seedPath, path, signal);
        await host.extendSparse(path, sizeBytes);
      }),
    ungrow: ({ path }, sizeBytes) => host.setLength(path, sizeBytes),
    readHead: ({ path }, bytes) => host.readHead(path, bytes),
  };
}

/** What raw files of both roles have in common. */
function rawDisks(host: DiskHost): Omit<Disks<unknown>, 'create'> & { readonly format: 'raw' } {
  return {
    format: 'raw',
    createBlank: ({ path, sizeBytes }, signal) =>
      makeDisk(host, { path, what: `cannot make ${path}`, signal }, async () => {
        await host.writeFileAtomic(path, '');
        await host.setLength(path, sizeBytes);
      }),
    clone: (from, to, signal) => cloneDisk(host, from, to, signal),
    grow: ({ path }, sizeBytes) => host.extendSparse(path, sizeBytes),
    remove: ({ path }) => host.removeTree(path),
    sizeBytes: async ({ path }) => (await host.fileSize(path)).bytes,
    allocatedBytes: ({ path }) => allocatedBytes(host, path),
  };
}

/** Clones a disk that is one file. */
export function cloneDisk(host: DiskHost, from: Disk, to: Disk, signal: AbortSignal): Promise<void> {
  return makeDisk(host, { path: to.path, what: `cannot clone ${from.path}`, signal }, () => cloneFile(host, from.path, to.path, signal));
}

/** A clone cannot leave its file system, and not every file system has clones. */
export async function cloneFile(host: DiskHost, from: string, to: string, signal: AbortSignal): Promise<void> {
  if (!(await host.reflink(from, to))) await host.sparseCopy(from, to, signal);
}

async function makeEmpty(host: DiskHost, path: string, sizeBytes: number, signal: AbortSignal): Promise<void> {
  await host.writeFileAtomic(path, '');
  await host.setLength(path, sizeBytes);
  await host.makeExt4(path, WORK_LABEL, signal);
}

type Making = {
  path: string;
  /** For people, if it fails. */
  what: string;
  signal: AbortSignal;
  /** Removes what was made so far; default: the file. */
  remove?: () => Promise<void>;
};

/** Makes a disk. If that fails, leaves nothing of it, and an existing disk as it was. @throws STORAGE_FAILED, NO_SPACE */
export async function makeDisk(host: DiskHost, { path, what, signal, remove }: Making, make: () => Promise<void>): Promise<void> {
  signal.throwIfAborted();
  if (await host.exists(path)) throw new BangerError('STORAGE_FAILED', `${what}: ${path} is there already`);
  try {
    await make();
    signal.throwIfAborted();
  } catch (error) {
    await (remove === undefined ? host.removeTree(path) : remove());
    signal.throwIfAborted();
    throw error instanceof BangerError ? error : storageError(what, error);
  }
}

/** @returns the space of the file on the host; undefined if it does not exist */
export async function allocatedBytes(host: DiskHost, path: string): Promise<number | undefined> {
  try {
    return (await host.fileSize(path)).allocatedBytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
