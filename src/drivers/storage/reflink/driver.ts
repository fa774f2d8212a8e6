import { writeFile } from 'node:fs/promises';
import type { Host } from '../../../host/host.ts';
import type { Finding } from '../../../model/finding.ts';
import type { StorageDriver } from '../contract.ts';
import { rawRootDisks, workDisks } from '../raw-file.ts';

/**
 * Root disks as copy-on-write clones of the whole file: native speed, on btrfs and XFS. An image on another file system is copied, which
 * works with every VMM, too.
 * @param options.directory the parent of VMs' disks
 */
export function createReflinkStorage({ host, directory }: { host: Host; directory: string }): StorageDriver {
  return {
    name: 'reflink',
    checks: async () => ({ findings: [judge(directory, await canReflink(host, directory))] }),
    root: rawRootDisks(host),
    work: workDisks(host),
  };
}

function judge(directory: string, works: boolean): Finding {
  const name = 'storage.reflink';
  if (works) return { name, level: 'pass', reason: `the file system of ${directory} clones files` };
  const remedy = 'put the state directory on btrfs or XFS (BANGER_STATE_DIR); otherwise banger uses another storage driver';
  return { name, level: 'fail', reason: `the file system of ${directory} cannot clone files`, remedy };
}

async function canReflink(host: Host, directory: string): Promise<boolean> {
  const from = `${directory}/.reflink-probe`;
  const to = `${from}-clone`;
  try {
    await host.makePrivateDirectory(directory);
    await writeFile(from, 'x'.repeat(4096));
    return await host.reflink(from, to);
  } catch {
    // An unwritable directory cannot hold a clone either.
    return false;
  } finally {
    await host.removeTree(from);
    await host.removeTree(to);
  }
}
