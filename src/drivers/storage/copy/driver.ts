import type { Host } from '../../../host/host.ts';
import type { StorageDriver } from '../contract.ts';
import { rawRootDisks, workDisks } from '../raw-file.ts';

/** Root disks as sparse copies: works everywhere, takes time and space in proportion to the image's content. */
export function createCopyStorage({ host }: { host: Host }): StorageDriver {
  return {
    name: 'copy',
    checks: () => Promise.resolve({ findings: [{ name: 'storage.copy', level: 'pass', reason: 'sparse copies work everywhere' }] }),
    root: rawRootDisks(host),
    work: workDisks(host),
  };
}
