import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import { parseFacts } from '../../../lib/line-protocol.ts';
import { BangerError } from '../../../model/errors.ts';
import { HELPER_DEVICE_DIRECTORY } from '../../../model/root-helper.ts';
import { shortId } from '../../../model/vm.ts';
import type { AttachedDisk, Disk, RootDisks, StorageDriver } from '../contract.ts';
import { allocatedBytes, cloneFile, makeDisk, workDisks } from '../raw-file.ts';
import { storageError } from '../storage-error.ts';
import { dmSnapshotCheck } from './checks.ts';
import { parseHello, parseOverlay } from './helper-lines.ts';
import type { OverlayHelper } from './helper-lines.ts';

/** The base of the overlay; stored beside it, because attaching must work after a reboot with nothing else. */
type Origin = { basePath: string; sizeBytes: number };

/** The snapshot target's chunks. */
const CHUNK_BYTES = 4096;

/**
 * Root disks as kernel devices: a snapshot of the image, whose changes go to a file of the user. It takes the same time for every image
 * size, and guests write as fast as to the file itself once a chunk is copied. Needs the root helper (head of native/helper/overlay.c).
 */
export function createDmSnapshotStorage({ host, helper }: { host: Host; helper: OverlayHelper }): StorageDriver {
  const parts = { host, ask: (request: string): Promise<string[]> => helper.ask(request).catch(translate) };
  return {
    name: 'dm-snapshot',
    checks: async () => ({ findings: [await dmSnapshotCheck(helper)] }),
    root: overlays(parts),
    work: workDisks(host),
    async sweep(alive) {
      const known = new Set(alive.map(({ vmId }) => shortId({ id: vmId })));
      // Claims are made before the device and removed after it, so that there is no device without them.
      const claimed = await host.namesIn(parseHello(await parts.ask('hello')).directory);
      for (const name of claimed) if (/^[0-9a-f]{8}$/.test(name) && !known.has(name)) await detach(parts, { vmId: name, path: '' });
    },
  };
}

type Parts = { host: Host; ask: (request: string) => Promise<string[]> };

function overlays(parts: Parts): RootDisks {
  const { host, ask } = parts;
  return {
    format: 'device',
    create: ({ path, basePath, sizeBytes }, signal) =>
      makeDisk(host, making(host, path, `cannot make the overlay ${path}`, signal), async () => {
        await host.fileSize(basePath);
        await writeFile(path, '', { flag: 'wx', mode: 0o600 });
        await writeOrigin(host, path, { basePath, sizeBytes: inChunks(sizeBytes) });
      }),
    clone: (from, to, signal) =>
      makeDisk(host, making(host, to.path, `cannot clone ${from.path}`, signal), async () => {
        const origin = await readOrigin(host, from.path);
        await cloneFile(host, from.path, to.path, signal);
        await writeOrigin(host, to.path, origin);
      }),
    attach: (disk, signal) => attach(parts, disk, signal),
    detach: (disk) => detach(parts, disk),
    async grow({ path }, sizeBytes) {
      const origin = await readOrigin(host, path);
      if (sizeBytes > origin.sizeBytes) await writeOrigin(host, path, { ...origin, sizeBytes: inChunks(sizeBytes) });
    },
    async remove(disk) {
      await detach(parts, disk);
      await removeFiles(host, disk.path);
    },
    sizeBytes: async ({ path }) => (await readOrigin(host, path)).sizeBytes,
    allocatedBytes: ({ path }) => allocatedBytes(host, path),
    usage: async ({ vmId }) => parseOverlay(await ask(`overlay status ${shortId({ id: vmId })}`)).usage,
    extend: async ({ vmId }, sizeBytes) => void (await ask(`overlay extend ${shortId({ id: vmId })} ${Math.ceil(sizeBytes)}`)),
  };
}

const inChunks = (bytes: number): number => Math.ceil(bytes / CHUNK_BYTES) * CHUNK_BYTES;

const making = (host: Host, path: string, what: string, signal: AbortSignal) => ({
  ...{ path, what, signal },
  remove: () => removeFiles(host, path),
});

async function attach({ host, ask }: Parts, { vmId, path }: Disk, signal: AbortSignal): Promise<AttachedDisk> {
  signal.throwIfAborted();
  const { basePath, sizeBytes } = await readOrigin(host, path);
  const claims = await claimsOf(ask, vmId);
  try {
    await host.removeTree(claims);
    await host.makePrivateDirectory(claims);
    await symlink(basePath, join(claims, 'base'));
    await symlink(path, join(claims, 'cow'));
    const { device } = parseOverlay(await ask(`overlay attach ${shortId({ id: vmId })} ${sizeBytes}`));
    return { path: device, format: 'device' };
  } catch (error) {
    await host.removeTree(claims);
    throw error instanceof BangerError ? error : storageError(`cannot claim ${path}`, error);
  }
}

async function detach({ host, ask }: Parts, { vmId }: Disk): Promise<void> {
  try {
    await ask(`overlay detach ${shortId({ id: vmId })}`);
    await host.removeTree(await claimsOf(ask, vmId));
  } catch (error) {
    // If the host has lost its helper and was rebooted since, it has no devices of banger either.
    const isHelperless = error instanceof BangerError && error.code === 'PREREQUISITE_MISSING';
    if (!isHelperless || (await host.exists(devicePath(vmId)))) throw error;
  }
}

const claimsOf = async (ask: Parts['ask'], vmId: string): Promise<string> =>
  join(parseHello(await ask('hello')).directory, shortId({ id: vmId }));

/** Where the helper makes the device. */
function devicePath(vmId: string): string {
  return `${HELPER_DEVICE_DIRECTORY}/${process.getuid?.() ?? 0}/bgr-${shortId({ id: vmId })}`;
}

const originPath = (path: string): string => `${path}.origin`;

const writeOrigin = (host: Host, path: string, origin: Origin): Promise<void> =>
  host.writeFileAtomic(originPath(path), `base=${encodeURIComponent(origin.basePath)} size=${origin.sizeBytes}\n`);

async function readOrigin(host: Host, path: string): Promise<Origin> {
  const facts = parseFacts(((await host.readIfThere(originPath(path))) ?? '').trimEnd());
  const [basePath, sizeBytes] = [facts.get('base'), Number(facts.get('size'))];
  if (basePath !== undefined && sizeBytes > 0) return { basePath: decodeURIComponent(basePath), sizeBytes };
  throw new BangerError('STORAGE_FAILED', `${originPath(path)} does not name the base of ${path}`, {
    remedy: 'delete the VM and create it again',
  });
}

async function removeFiles(host: Host, path: string): Promise<void> {
  await host.removeTree(path);
  await host.removeTree(originPath(path));
}

/** Distinguishes a full disk from every other error. */
function translate(error: unknown): never {
  const errno = error instanceof BangerError ? error.details?.['errno'] : undefined;
  if (errno === 'ENOSPC') {
    throw new BangerError('NO_SPACE', 'the disk is full', { cause: error, remedy: 'free some space (df -h), then try again' });
  }
  // The disk or the overlay is full; the helper's message says which.
  if (errno === 'EDQUOT') {
    throw new BangerError('NO_SPACE', (error as BangerError).message, { cause: error, remedy: 'banger vm delete NAME' });
  }
  throw error;
}
