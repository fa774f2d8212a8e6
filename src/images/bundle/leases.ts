// What each daemon needs of a bundle. Several may use one, and who builds it anew must not take away what the others run from.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { Host } from '../../host/host.ts';

/** Folder in a bundle's directory with a file for every daemon, by what is told from its state directory. */
const LEASES = 'leases';

const leaseSchema = z.object({ stateDirectory: z.string(), files: z.array(z.string()) });
type Lease = z.infer<typeof leaseSchema>;

type LeaseHost = Pick<Host, 'makePrivateDirectory' | 'namesIn' | 'readIfThere' | 'removeTree' | 'writeFileAtomic'>;

/**
 * Writes down what a daemon needs, in place of what it needed before, and forgets daemons whose state directory is gone.
 * Nothing happens where this user may not write: then he does not build there either, and who does knows of all.
 * @param lease.files names in the bundle's directory
 * @returns whether it was written; false when that stood there already
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
 * @returns names of files in the bundle's directory that some daemon needs, running or not
 * @throws EACCES and the like: then nobody knows
 */
export async function leasedFiles(directory: string, host: LeaseHost): Promise<Set<string>> {
  return new Set((await readLeases(directory, host)).flatMap(({ files }) => files));
}

/** One that cannot be understood is of no daemon that could tell what it needs; it goes with those of daemons that are gone. */
async function readLeases(directory: string, host: LeaseHost): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (const name of await host.namesIn(join(directory, LEASES))) {
    // Others are being written.
    if (!name.endsWith('.json')) continue;
    const path = join(directory, LEASES, name);
    const lease = parseLease(await host.readIfThere(path));
    if (lease !== undefined && !(await isGone(lease.stateDirectory, host))) leases.push(lease);
    else await host.removeTree(path);
  }
  return leases;
}

/** What cannot be looked at is there. */
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
