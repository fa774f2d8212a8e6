// What each daemon needs of a bundle. Several daemons may use one bundle, and a rebuild must not remove the files of the others.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { Host } from '../../host/host.ts';

/** Folder in a bundle's directory with a file for every daemon, named by its state directory. */
const LEASES = 'leases';

const leaseSchema = z.object({ stateDirectory: z.string(), files: z.array(z.string()) });
type Lease = z.infer<typeof leaseSchema>;

type LeaseHost = Pick<Host, 'makePrivateDirectory' | 'namesIn' | 'readIfThere' | 'removeTree' | 'writeFileAtomic'>;

/**
 * Records the needs of a daemon, instead of its former ones, and forgets daemons whose state directory is gone.
 * Does nothing if this user may not write there: then this user does not build there either, and the user who does sees every lease.
 * @param lease.files names in the bundle's directory
 * @returns whether it was written; false if the same lease existed already
 */
export async function keepLease(directory: string, lease: Lease, host: LeaseHost): Promise<boolean> {
  const name = createHash('sha256').update(lease.stateDirectory).digest('hex').slice(0, 16);
  const path = join(directory, LEASES, `${name}.json`);
  const text = `${JSON.stringify({ ...lease, files: lease.files.toSorted() }, null, 2)}\n`;
  try {
    if ((await host.readIfThere(path)) === text) return false;
    await host.makePrivateDirectory(join(directory, LEASES));
    await host.writeFileAtomic(path, text);
    await readLeases(directory, host);
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/**
 * @returns names of files in the bundle's directory that some daemon needs, whether it runs or not
 * @throws EACCES and the like: then the needs are unknown
 */
export async function leasedFiles(directory: string, host: LeaseHost): Promise<Set<string>> {
  return new Set((await readLeases(directory, host)).flatMap(({ files }) => files));
}

/** A lease that is unreadable belongs to no known daemon; it is removed with those of daemons that are gone. */
async function readLeases(directory: string, host: LeaseHost): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (const name of await host.namesIn(join(directory, LEASES))) {
    // Files that are being written.
    if (!name.endsWith('.json')) continue;
    const path = join(directory, LEASES, name);
    const lease = parseLease(await host.readIfThere(path));
    if (lease !== undefined && !(await isGone(lease.stateDirectory, host))) leases.push(lease);
    else await host.removeTree(path);
  }
  return leases;
}

/** If it cannot be examined, it counts as present. */
async function isGone(stateDirectory: string, host: LeaseHost): Promise<boolean> {
  return host.namesIn(stateDirectory).then(
    (names) => names.length === 0,
    () => false,
  );
}

function parseLease(text: string | undefined): Lease | undefined {
  try {
    return leaseSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
}
