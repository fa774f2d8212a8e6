import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { encodeName } from '../../lib/byte-names.ts';
import { BangerError } from '../../model/errors.ts';
import { inodeCommands } from './inode-commands.ts';
import type { Tree } from './tree.ts';

export type AssembleRequest = {
  /** One archive that is safe to unpack without further checks. */
  archive: AsyncIterable<Uint8Array>;
  rootfs: string;
  workSeed: string;
  /** The content of the archive. */
  tree: Tree;
  /** The memory that it takes, from `checkMemory`. */
  treeBytes: number;
  /** Working directory. */
  scratch: string;
  host: Host;
  signal: AbortSignal;
  onLog: (line: string) => void;
};

/** What an entry takes besides its content: its inode and name, generously. */
const ENTRY_BYTES = 1024;
const BLOCK_BYTES = 4096;
/** A large image takes minutes to write under emulation. */
const TIMEOUT_MS = 30 * 60_000;
/** What the file systems of the tree take besides what is counted. */
const SPARE_BYTES = 64 * 1024 ** 2;
/** mke2fs holds a descriptor open for every directory on its way down. */
const OPEN_FILES = 4096;
/** The largest size of ext4; holes take no space. */
const MOST_FILE_BYTES = 16 * 1024 ** 4;

/**
 * Foreign files stay isolated: the tree is in a private tmpfs that disappears with the programs, and the file systems are written from it
 * as files, never mounted. Owners are right for ordinary users, too. If a program fails, its reason is the last line.
 */
const SCRIPT = `
rootfs=$1 seed=$2 scratch=$3
tell() {
  "$@" || { status=$?; echo "$1 ended with status $status" >&2; exit "$status"; }
}
tree=$scratch/root
mkdir "$tree"
tar -C "$tree" -x -p --numeric-owner --same-owner --xattrs --xattrs-include='*' --delay-directory-restore --warning=no-timestamp -f - \\
  2> /tmp/said || { status=$?; cat /tmp/said >&2; echo "tar ended with status $status" >&2; exit "$status"; }
# It goes on where the kernel refuses an attribute, as user.* on tmpfs before Linux 6.6: nothing is lost without a word.
if [ -s /tmp/said ]; then
  cat /tmp/said >&2
  echo "not everything can be kept: $(head -n 1 /tmp/said)" >&2
  exit 1
fi
make_ext4() {
  file=$1 size=$2 label=$3 content=$4 journal=$5
  truncate -s "$size" "$file"
  tell mke2fs -q -t ext4 -F -b 4096 -m 1 -L "$label" -J size="$journal" \\
    -E lazy_itable_init=1,lazy_journal_init=1,resize=268435456 -d "$content" "$file"
  [ -s "/commands/$label" ] || return 0
  # It says its version, and beyond that only what went wrong; its status is always 0.
  tell debugfs -w -f "/commands/$label" "$file" 2>&1 > /dev/null | tail -n +2 | grep . >&2 && exit 1
  return 0
}
mib=$((1024 * 1024))
home=$tree/root
if [ ! -d "$home" ] || [ -L "$home" ]; then home=$scratch/home && mkdir -m 0700 "$home"; fi
make_ext4 "$seed" $((512 * mib)) banger-work "$home" 16
bytes=$(du -s -x --block-size=1 "$tree" | cut -f1)
files=$(find "$tree" -xdev | wc -l)
size=$(((bytes * 5 / 4 + files * 512) / mib * mib + 128 * mib))
[ "$size" -ge $((256 * mib)) ] || size=$((256 * mib))
make_ext4 "$rootfs" "$size" banger-root "$tree" 32
`;

/** Programs of Debian packages that it needs. */
const PROGRAMS: Readonly<Record<string, string>> = { tar: 'tar', mke2fs: 'e2fsprogs', debugfs: 'e2fsprogs' };

/**
 * Checks what the assembly needs, before anything is read.
 * @throws PREREQUISITE_MISSING with the remedy
 */
export async function checkAssembling(host: Host): Promise<void> {
  const missing: string[] = [];
  for (const program of Object.keys(PROGRAMS)) {
    if ((await host.findProgram(program, host.confinedSearchPath)) === undefined) missing.push(program);
  }
  if (missing.length > 0) {
    throw new BangerError('PREREQUISITE_MISSING', `building a root file system needs ${missing.join(', ')}`, {
      remedy: `sudo apt-get install ${missing.map((program) => PROGRAMS[program]).join(' ')}`,
    });
  }
  const problem = await host.confinementProblem('many');
  if (problem !== undefined) throw new BangerError('PREREQUISITE_MISSING', problem.reason, { remedy: problem.remedy });
}

/**
 * The tree is assembled in memory. It is better to refuse now than to be killed by the kernel in the middle.
 * @returns the memory that it takes, bytes
 * @throws NO_SPACE
 */
export async function checkMemory(tree: Tree, host: Host): Promise<number> {
  const found = /^MemAvailable:\s+(\d+) kB/m.exec((await host.readIfThere('/proc/meminfo')) ?? '');
  const availableBytes = found === null ? Number.POSITIVE_INFINITY : Number(found[1]) * 1024;
  let neededBytes = 0;
  for (const { type, entry } of tree.nodes.values()) {
    neededBytes += ENTRY_BYTES + (type === 'file' ? Math.ceil(entry.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES : 0);
  }
  if (neededBytes < availableBytes * 0.8) return neededBytes;
  const [needed, available] = [neededBytes, availableBytes].map((bytes) => `${Math.ceil(bytes / 1024 ** 2)} MiB`);
  throw new BangerError('NO_SPACE', `the import needs ${needed} of memory, and ${available} are available`, {
    remedy: 'banger vm stop NAME',
  });
}

/**
 * Writes `rootfs` and `workSeed` from the archive.
 * @throws COMMAND_FAILED, and then neither exists; the errors of the archive
 */
export async function assemble({ archive, tree, treeBytes, scratch, rootfs, workSeed, ...rest }: AssembleRequest): Promise<void> {
  const { host, signal, onLog } = rest;
  const files = [rootfs, workSeed];
  const commands = { 'banger-root': inodeCommands(tree.nodes, ''), 'banger-work': inodeCommands(tree.nodes, 'root') };
  const copies = new Map(Object.keys(commands).map((label) => [`/commands/${label}`, join(scratch, `${label}.debugfs`)]));
  try {
    for (const [label, text] of Object.entries(commands)) await host.writeFileAtomic(join(scratch, `${label}.debugfs`), encodeName(text));
    for (const path of files) await host.writeFileAtomic(path, '', 0o644);
    const argv = ['sh', '-eu', '-c', SCRIPT, 'assemble', host.confinedPath(0), host.confinedPath(1), host.confinedScratch];
    const limits = { openFiles: OPEN_FILES, fileBytes: MOST_FILE_BYTES };
    await host.runConfined(
      argv,
      { files, copies, ids: 'many', scratchBytes: treeBytes + SPARE_BYTES, limits },
      { input: archive, signal, onLine: onLog, timeoutMs: TIMEOUT_MS },
    );
    for (const path of copies.values()) await host.removeTree(path);
  } catch (error) {
    for (const path of files) await host.removeTree(path);
    if (signal.aborted || !isCommandFailure(error)) throw error;
    throw new BangerError('COMMAND_FAILED', `the file system of the image could not be written: ${error.message}`, {
      remedy: 'remove unusual files from the image, or write it with another tool',
      details: { exitCode: error.outcome.exitCode, signal: error.outcome.signal },
      cause: error,
    });
  }
}

/** The shape of CommandFailure; the class itself belongs to host. */
function isCommandFailure(error: unknown): error is Error & { outcome: { exitCode: number | null; signal: string | null } } {
  return error instanceof Error && error.name === 'CommandFailure' && 'outcome' in error;
}
