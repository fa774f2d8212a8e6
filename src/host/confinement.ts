// Decides how to isolate a program that reads what a guest or a stranger wrote: a command line of bwrap(1), which confined.ts runs.
import { lstatSync, readlinkSync } from 'node:fs';

/** What such a program gets of this machine besides the programs and libraries of /usr: nothing else exists for it. */
export type Confinement = {
  /** Files that it reads and writes in place, under the names that `confinedPath` returns. */
  files?: readonly string[];
  /** Files that it gets as copies, by the absolute path of each copy. */
  copies?: ReadonlyMap<string, string>;
  /**
   * `one` (default): it runs as nobody, without privileges. `many`: it is root among 65 536 ids that mean nothing outside, and may give
   * files to them.
   */
  ids?: 'one' | 'many';
  /** Size of an in-memory file system at SCRATCH, bytes; default: none. */
  scratchBytes?: number;
  /** Variables beside PATH and LANG. */
  env?: Readonly<Record<string, string>>;
  limits?: Partial<Limits>;
};

/** Its limits. The runner limits the elapsed time. */
export type Limits = { cpuSeconds: number; memoryBytes: number; fileBytes: number; processes: number; openFiles: number };

const GIB = 1024 ** 3;
/** e2fsck takes the most, for large damaged file systems. */
const DEFAULT_LIMITS: Limits = { cpuSeconds: 1800, memoryBytes: 4 * GIB, fileBytes: 1024 * GIB, processes: 32, openFiles: 1024 };

export const SCRATCH = '/scratch';
/** The first descriptor of the program's files, after stdin, stdout and stderr. */
const FIRST_DESCRIPTOR = 3;
/** The capabilities of root in a program with many ids: owners, modes and attributes of files, and no more. */
const FILE_CAPABILITIES = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_SETFCAP'];
const NOBODY = '65534';
/** The search path of a confined program, and of checks whether the program exists. */
export const CONFINED_SEARCH_PATH = '/usr/bin:/usr/sbin:/bin:/sbin';

/** @returns the name by which the confined program opens the file at `index` of `files`; it needs no directory of the host */
export function confinedPath(index: number): string {
  return `/proc/self/fd/${FIRST_DESCRIPTOR + index}`;
}

/** The runner's own descriptors, with the numbers of the program's parent. */
export type Descriptors = { copies: readonly number[]; filter: number | undefined; mapping?: { said: number; awaited: number } };

/** @returns numbers for all descriptors, in the order files, copies, filter, mapping */
export function numberDescriptors({ files = [], copies, ids }: Confinement, hasFilter: boolean): Descriptors {
  let next = FIRST_DESCRIPTOR + files.length;
  const take = (): number => next++;
  const numbered = [...(copies ?? [])].map(take);
  const filter = hasFilter ? take() : undefined;
  return { copies: numbered, filter, ...(ids === 'many' ? { mapping: { said: take(), awaited: take() } } : {}) };
}

/**
 * @param usr the form of /bin and the like, from `systemDirectories`
 * @returns the whole command line
 */
export function confine(argv: readonly string[], confinement: Confinement, descriptors: Descriptors, usr: readonly string[]): string[] {
  const { copies = new Map<string, string>(), scratchBytes, env = {} } = confinement;
  const limits = { ...DEFAULT_LIMITS, ...confinement.limits };
  return [
    // --unshare-all would continue if a user namespace is refused.
    ...['bwrap', '--unshare-user', '--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--die-with-parent', '--new-session', '--hostname', 'confined', '--cap-drop', 'ALL'],
    ...identity(confinement, descriptors),
    ...['--clearenv', '--setenv', 'PATH', CONFINED_SEARCH_PATH, '--setenv', 'LANG', 'C.UTF-8'],
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    ...usr,
    ...['--proc', '/proc', '--dev', '/dev', '--perms', '1777', '--size', String(GIB), '--tmpfs', '/tmp'],
    ...(scratchBytes === undefined ? [] : ['--size', String(scratchBytes), '--tmpfs', SCRATCH]),
    ...[...copies.keys()].flatMap((path, at) => ['--ro-bind-data', String(descriptors.copies[at]), path]),
    ...(descriptors.filter === undefined ? [] : ['--seccomp', String(descriptors.filter)]),
    ...['--chdir', '/', '--', 'prlimit', '--core=0', `--cpu=${limits.cpuSeconds}`, `--as=${limits.memoryBytes}`],
    ...[`--fsize=${limits.fileBytes}`, `--nproc=${limits.processes}`, `--nofile=${limits.openFiles}`, '--', ...argv],
  ];
}

function identity({ ids = 'one' }: Confinement, { mapping }: Descriptors): string[] {
  if (ids === 'one' || mapping === undefined) return ['--uid', NOBODY, '--gid', NOBODY];
  const rights = FILE_CAPABILITIES.flatMap((name) => ['--cap-add', name]);
  return ['--info-fd', String(mapping.said), '--userns-block-fd', String(mapping.awaited), ...rights];
}

/** @returns arguments that make this machine's programs visible, and none of its owner's files */
export function systemDirectories(): string[] {
  const directories = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].flatMap((path) => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return [];
    return found.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path];
  });
  const settings = ['/etc/ld.so.cache', '/etc/alternatives', '/etc/mke2fs.conf'].flatMap((path) => ['--ro-bind-try', path, path]);
  return ['--ro-bind', '/usr', '/usr', '--tmpfs', '/usr/local', ...directories, ...settings];
}
