import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import { parseFacts } from '../../../lib/line-protocol.ts';
import { BangerError } from '../../../model/errors.ts';
import { HELPER_DEVICE_DIRECTORY } from '../../../model/root-helper.ts';
import { shortId } from '../../../model/vm.ts';
import type { Overlay, OverlayUsage, StorageDriver } from '../contract.ts';
import { storageError } from '../storage-error.ts';
import { dmSnapshotCheck } from './checks.ts';
import { parseHello, parseOverlay } from './helper-lines.ts';
import type { OverlayHelper } from './helper-lines.ts';

/** Of what the overlay is a layer; kept beside it, because attaching must work after a reboot with nothing else. */
type Origin = { basePath: string; sizeBytes: number };

/** The snapshot target's chunks. */
const CHUNK_BYTES = 4096;

/**
 * Overlays as devices of the kernel: a snapshot of the image, whose changes go to a file of the user. Costs the same for
 * every image size, and guests write as fast as to the file itself once a chunk is copied. Needs the root helper
 * (head of native/helper/overlay.c).
 */
export function createDmSnapshotStorage({ host, helper }: { host: Host; helper: OverlayHelper }): StorageDriver {
  const ask = (request: string): Promise<string[]> => helper.ask(request).catch(translate);
  const claimsOf = async (overlay: Overlay): Promise<string> =>
    join(parseHello(await ask('hello')).directory, shortId({ id: overlay.vmId }));

  const detach = async (overlay: Overlay): Promise<void> => {
    try {
      await ask(`overlay detach ${shortId({ id: overlay.vmId })}`);
      await host.removeTree(await claimsOf(overlay));
    } catch (error) {
      // A host that has lost its helper, with a reboot since, has nothing of ours either.
      const isHelperless = error instanceof BangerError && error.code === 'PREREQUISITE_MISSING';
      if (!isHelperless || (await host.exists(devicePath(overlay)))) throw error;
    }
  };

  return {
    name: 'dm-snapshot',
    format: 'raw',
    checks: async () => ({ findings: [await dmSnapshotCheck(helper)] }),
    async create({ basePath, overlayPath, sizeBytes }, signal) {
      signal.throwIfAborted();
      try {
        await host.fileSize(basePath);
        await writeFile(overlayPath, '', { flag: 'wx', mode: 0o600 });
        await writeOrigin(host, overlayPath, { basePath, sizeBytes: Math.ceil(sizeBytes / CHUNK_BYTES) * CHUNK_BYTES });
      } catch (error) {
        await removeFiles(host, overlayPath);
        throw storageError(`cannot make the overlay ${overlayPath}`, error);
      }
    },
    async attach(overlay, signal) {
      signal.throwIfAborted();
      const { basePath, sizeBytes } = await readOrigin(host, overlay.overlayPath);
      const claims = await claimsOf(overlay);
      try {
        await host.removeTree(claims);
        await host.makePrivateDirectory(claims);
        await symlink(basePath, join(claims, 'base'));
        await symlink(overlay.overlayPath, join(claims, 'cow'));
        return { path: parseOverlay(await ask(`overlay attach ${shortId({ id: overlay.vmId })} ${sizeBytes}`)).device, format: 'raw' };
      } catch (error) {
        await host.removeTree(claims);
        throw error instanceof BangerError ? error : storageError(`cannot claim ${overlay.overlayPath}`, error);
      }
    },
    detach,
    async sweep(alive) {
      const known = new Set(alive.map(({ vmId }) => shortId({ id: vmId })));
      // Claims are made before the device and removed after it, so that there is no device without them.
      const claimed = await host.namesIn(parseHello(await ask('hello')).directory);
      for (const name of claimed) if (/^[0-9a-f]{8}$/.test(name) && !known.has(name)) await detach({ vmId: name, overlayPath: '' });
    },
    async grow({ overlayPath }, sizeBytes) {
      const origin = await readOrigin(host, overlayPath);
      if (sizeBytes <= origin.sizeBytes) return;
      await writeOrigin(host, overlayPath, { ...origin, sizeBytes: Math.ceil(sizeBytes / CHUNK_BYTES) * CHUNK_BYTES });
    },
    async remove(overlay) {
      await detach(overlay);
      await removeFiles(host, overlay.overlayPath);
    },
    usage: async ({ vmId }): Promise<OverlayUsage> => parseOverlay(await ask(`overlay status ${shortId({ id: vmId })}`)).usage,
    extend: async ({ vmId }, sizeBytes) => void (await ask(`overlay extend ${shortId({ id: vmId })} ${Math.ceil(sizeBytes)}`)),
  };
}

/** Where the helper puts the device. */
function devicePath({ vmId }: Overlay): string {
  return `${HELPER_DEVICE_DIRECTORY}/${process.getuid?.() ?? 0}/bgr-${shortId({ id: vmId })}`;
}

const originPath = (overlayPath: string): string => `${overlayPath}.origin`;

const writeOrigin = (host: Host, overlayPath: string, origin: Origin): Promise<void> =>
  host.writeFileAtomic(originPath(overlayPath), `base=${encodeURIComponent(origin.basePath)} size=${origin.sizeBytes}\n`);

async function readOrigin(host: Host, overlayPath: string): Promise<Origin> {
  const facts = parseFacts(((await host.readIfThere(originPath(overlayPath))) ?? '').trimEnd());
  const [basePath, sizeBytes] = [facts.get('base'), Number(facts.get('size'))];
  if (basePath !== undefined && sizeBytes > 0) return { basePath: decodeURIComponent(basePath), sizeBytes };
  throw new BangerError('STORAGE_FAILED', `${originPath(overlayPath)} does not say what ${overlayPath} is a layer of`, {
    remedy: 'delete the VM and create it again',
  });
}

async function removeFiles(host: Host, overlayPath: string): Promise<void> {
  await host.removeTree(overlayPath);
  await host.removeTree(originPath(overlayPath));
}

/** Tells a full disk from every other refusal. */
function translate(error: unknown): never {
  const errno = error instanceof BangerError ? error.details?.['errno'] : undefined;
  if (errno === 'ENOSPC') {
    throw new BangerError('NO_SPACE', 'the disk is full', { cause: error, remedy: 'free some space (df -h), then try again' });
  }
  // Of disk or of overlays; the helper's text says which.
  if (errno === 'EDQUOT') {
    throw new BangerError('NO_SPACE', (error as BangerError).message, { cause: error, remedy: 'banger vm delete NAME' });
  }
  throw error;
}
