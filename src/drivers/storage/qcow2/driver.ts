import { writeFile } from 'node:fs/promises';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { Disk, RootDisks, StorageDriver } from '../contract.ts';
import { allocatedBytes, cloneDisk, makeDisk, workDisks } from '../raw-file.ts';
import { storageError } from '../storage-error.ts';
import { emptyOverlay, HEADER_BYTES, virtualSize } from './header.ts';

/** Root disks as qcow2 files: take the same time for every image size, work on every file system, need QEMU. */
export function createQcow2Storage({ host, qemuImg = 'qemu-img' }: { host: Host; qemuImg?: string }): StorageDriver {
  return {
    name: 'qcow2',
    checks: async () => ({ findings: [await judge(host, qemuImg)] }),
    root: overlays(host, qemuImg),
    work: workDisks(host),
  };
}

function overlays(host: Host, qemuImg: string): RootDisks {
  const create: RootDisks['create'] = ({ path, basePath, sizeBytes }, signal) =>
    makeDisk(host, { path, what: `cannot make the overlay ${path}`, signal }, async () => {
      if (Buffer.byteLength(basePath) > 1023) {
        throw new BangerError('STORAGE_FAILED', `the path ${basePath} is too long for a qcow2 overlay`);
      }
      await writeFile(path, emptyOverlay(basePath, sizeBytes), { flag: 'wx', mode: 0o600 });
    });
  return {
    format: 'qcow2',
    create,
    createBlank: create,
    clone: (from, to, signal) => cloneDisk(host, from, to, signal),
    attach: ({ path }) => Promise.resolve({ path, format: 'qcow2' }),
    async grow(disk, sizeBytes) {
      if (sizeBytes <= (await sizeOf(host, disk))) return;
      // A VMM has written the header since, and it names another file: banger opens neither as the header says.
      const overlay = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: host.confinedPath(0) } };
      const argv = [qemuImg, 'resize', '-q', `json:${JSON.stringify(overlay)}`, String(sizeBytes)];
      await host.runConfined(argv, { files: [disk.path] }).catch((error: unknown) => {
        throw storageError(`cannot grow the overlay ${disk.path}`, error);
      });
    },
    async growChecks() {
      const problem = await host.confinementProblem();
      return problem === undefined ? [] : [{ name: 'confinement', level: 'fail', ...problem }];
    },
    remove: ({ path }) => host.removeTree(path),
    sizeBytes: (disk) => sizeOf(host, disk),
    allocatedBytes: ({ path }) => allocatedBytes(host, path),
  };
}

async function sizeOf(host: Host, { path }: Disk): Promise<number> {
  const bytes = virtualSize(await host.readHead(path, HEADER_BYTES));
  if (bytes === undefined) throw new BangerError('STORAGE_FAILED', `${path} is no qcow2 overlay`);
  return bytes;
}

async function judge(host: Host, qemuImg: string): Promise<Finding> {
  const name = 'storage.qcow2';
  try {
    await host.run([qemuImg, '--version'], { timeoutMs: 60_000 });
    return { name, level: 'pass', reason: 'qcow2 overlays work on every file system' };
  } catch {
    return { name, level: 'fail', reason: `${qemuImg} does not run`, remedy: 'sudo apt-get install qemu-utils' };
  }
}
