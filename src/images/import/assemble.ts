import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { inNamespace } from '../bundle/namespace.ts';
import type { Tree } from './tree.ts';

export type AssembleRequest = {
  /** One archive that can be unpacked blindly. */
  archive: AsyncIterable<Uint8Array>;
  /** Directory of this work alone; nothing stays in it. */
  mountPoint: string;
  rootfs: string;
  workSeed: string;
  userId: number;
  host: Host;
  signal: AbortSignal;
  onLog: (line: string) => void;
};

/** What an entry takes beside its content: its inode and name, generously. */
const ENTRY_BYTES = 1024;
const BLOCK_BYTES = 4096;
/** A large image takes minutes to write under emulation. */
const TIMEOUT_MS = 30 * 60_000;

/**
 * Everything foreign happens in namespaces of its own: the tree lies on a tmpfs that nobody else sees and that ends with them,
 * and the file systems are written from it as files, never mounted. Owners come out right for ordinary users too.
 */
const SCRIPT = `
mount_point=$1 rootfs=$2 seed=$3
mount -t tmpfs -o mode=0755,size=100%,nr_inodes=0 tmpfs "$mount_point"
tree=$mount_point/root
mkdir "$tree"
tar -C "$tree" -x -p --numeric-owner --same-owner --xattrs --xattrs-include='*' --delay-directory-restore --warning=no-timestamp -f -
make_ext4() {
  file=$1 size=$2 label=$3 content=$4 journal=$5
  rm -f "$file"
  truncate -s "$size" "$file"
  mke2fs -q -t ext4 -F -b 4096 -m 1 -L "$label" -J size="$journal" \\
    -E lazy_itable_init=1,lazy_journal_init=1,resize=268435456 -d "$content" "$file"
}
mib=$((1024 * 1024))
home=$tree/root
if [ ! -d "$home" ] || [ -L "$home" ]; then home=$mount_point/home && mkdir -m 0700 "$home"; fi
make_ext4 "$seed" $((512 * mib)) banger-work "$home" 16
bytes=$(du -s -x --block-size=1 "$tree" | cut -f1)
files=$(find "$tree" -xdev | wc -l)
size=$(((bytes * 5 / 4 + files * 512) / mib * mib + 128 * mib))
[ "$size" -ge $((256 * mib)) ] || size=$((256 * mib))
make_ext4 "$rootfs" "$size" banger-root "$tree" 32
`;

/** Programs of Debian that it takes. */
const PROGRAMS: Readonly<Record<string, string>> = { unshare: 'util-linux', setpriv: 'util-linux', tar: 'tar', mke2fs: 'e2fsprogs' };
const PROGRAMS_FOR_USERS: Readonly<Record<string, string>> = { newuidmap: 'uidmap', newgidmap: 'uidmap' };

/**
 * Looks at what the assembling takes, before anything is read.
 * @throws PREREQUISITE_MISSING with the packages to install
 */
export async function checkAssembling(host: Host, userId: number): Promise<void> {
  const programs = { ...PROGRAMS, ...(userId === 0 ? {} : PROGRAMS_FOR_USERS) };
  const search = 'for program; do command -v "$program" > /dev/null || echo "$program"; done';
  const { stdout } = await host.run(['sh', '-c', search, 'sh', ...Object.keys(programs)]);
  const missing = stdout.split('\n').filter((line) => line !== '');
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((program) => programs[program]))].join(' ');
    throw new BangerError('PREREQUISITE_MISSING', `putting a root file system together takes ${missing.join(', ')}`, {
      remedy: `sudo apt-get install ${packages}`,
    });
  }
  try {
    await host.run(inNamespace(userId, ['true']), { timeoutMs: 10_000 });
  } catch (error) {
    throw new BangerError('PREREQUISITE_MISSING', `no user namespace with a range of ids can be made: ${String(error)}`, {
      remedy: 'sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$USER"',
      cause: error,
    });
  }
}

/**
 * The tree is put together in memory; better refused now than ended by the kernel in the middle.
 * @throws NO_SPACE
 */
export async function checkMemory(tree: Tree, host: Host): Promise<void> {
  const found = /^MemAvailable:\s+(\d+) kB/m.exec((await host.readIfThere('/proc/meminfo')) ?? '');
  if (found === null) return;
  const availableBytes = Number(found[1]) * 1024;
  let neededBytes = 0;
  for (const { type, entry } of tree.nodes.values()) {
    neededBytes += ENTRY_BYTES + (type === 'file' ? Math.ceil(entry.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES : 0);
  }
  if (neededBytes < availableBytes * 0.8) return;
  const [needed, available] = [neededBytes, availableBytes].map((bytes) => `${Math.ceil(bytes / 1024 ** 2)} MiB`);
  throw new BangerError('NO_SPACE', `the image takes ${needed} of memory while it is put together; there are ${available}`, {
    remedy: 'banger vm stop NAME',
  });
}

/** Writes `rootfs` and `workSeed` from the archive. @throws CommandFailure; whatever the archive throws */
export async function assemble({ archive, mountPoint, rootfs, workSeed, userId, ...rest }: AssembleRequest): Promise<void> {
  const { host, signal, onLog } = rest;
  await host.makePrivateDirectory(mountPoint);
  await host.run(inNamespace(userId, ['sh', '-eu', '-c', SCRIPT, 'sh', mountPoint, rootfs, workSeed]), {
    input: archive,
    signal,
    onLine: onLog,
    timeoutMs: TIMEOUT_MS,
  });
  await host.removeTree(mountPoint);
}
