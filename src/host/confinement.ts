// How a program is kept apart that reads what a guest or a stranger wrote: a command line of bwrap(1), decided here and run by confined.ts.
import { lstatSync, readlinkSync } from 'node:fs';

/** What such a program gets of this machine beside the programs and libraries of /usr: nothing else is there. */
export type Confinement = {
  /** Files that it reads and writes in place; it opens them by the names that `confinedPath` gives. */
  files?: readonly string[];
  /** Files that it gets a copy of, by the absolute path at which it finds it. */
  copies?: ReadonlyMap<string, string>;
  /**
   * `one` (default): it is nobody, without any right. `many`: it is root among 65 536 ids that mean nothing outside, and may give files
   * to them.
   */
  ids?: 'one' | 'many';
  /** Size of a file system in memory at SCRATCH, bytes; default: none. */
  scratchBytes?: number;
  /** Variables beside PATH and LANG. */
  env?: Readonly<Record<string, string>>;
  limits?: Partial<Limits>;
};

/** What it can use up. Time by the clock is limited by the runner. */
export type Limits = { cpuSeconds: number; memoryBytes: number; fileBytes: number; processes: number; openFiles: number };

const GIB = 1024 ** 3;
/** e2fsck takes most, for large damaged file systems. */
const DEFAULT_LIMITS: Limits = { cpuSeconds: 1800, memoryBytes: 4 * GIB, fileBytes: 1024 * GIB, processes: 32, openFiles: 1024 };

export const SCRATCH = '/scratch';
/** Where the program's own descriptors begin, behind those of stdin, stdout and stderr. */
const FIRST_DESCRIPTOR = 3;
/** What root of a program with many ids may do: with owners, modes and attributes of files, and no more. */
const FILE_CAPABILITIES = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_SETFCAP'];
const NOBODY = '65534';
/** Where a confined program, and whoever wants to know whether it is there, looks. */
export const CONFINED_SEARCH_PATH = '/usr/bin:/usr/sbin:/bin:/sbin';

/** @returns the name by which the confined program opens the file at `index` of `files`: no directory of the host is needed for it */
export function confinedPath(index: number): string {
  return `/proc/self/fd/${FIRST_DESCRIPTOR + index}`;
}

/** Descriptors of the runner's own, as the program's parent numbers them. */
export type Descriptors = { copies: readonly number[]; filter: number | undefined; mapping?: { said: number; awaited: number } };

/** @returns numbers for everything that is handed over, in the order files, copies, filter, mapping */
export function numberDescriptors({ files = [], copies, ids }: Confinement, hasFilter: boolean): Descriptors {
  let next = FIRST_DESCRIPTOR + files.length;
  const take = (): number => next++;
  const numbered = [...(copies ?? [])].map(take);
  const filter = hasFilter ? take() : undefined;
  return { copies: numbered, filter, ...(ids === 'many' ? { mapping: { said: take(), awaited: take() } } : {}) };
}

/**
 * @param usr how /bin and the like are there, from `systemDirectories`
 * @returns the whole command line
 */
export function confine(argv: readonly string[], confinement: Confinement, descriptors: Descriptors, usr: readonly string[]): string[] {
  const { copies = new Map<string, string>(), scratchBytes, env = {} } = confinement;
  const limits = { ...DEFAULT_LIMITS, ...confinement.limits };
  return [
    // --unshare-all would go on where a user namespace is refused.
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

/** @returns what makes the programs of this machine visible, and nothing that its owner put there */
export function systemDirectories(): string[] {
  const directories = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].flatMap((path) => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return [];
    return found.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path];
  });
  const settings = ['/etc/ld.so.cache', '/etc/alternatives', '/etc/mke2fs.conf'].flatMap((path) => ['--ro-bind-try', path, path]);
  return ['--ro-bind', '/usr', '/usr', '--tmpfs', '/usr/local', ...directories, ...settings];
}
