import { BangerError } from '../../model/errors.ts';

/** Programs that a build runs, with the Debian package of each. */
const PROGRAMS: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  'musl-gcc': 'musl-tools',
  gcc: 'gcc',
  make: 'make',
  tar: 'tar',
  xz: 'xz-utils',
  'ssh-keygen': 'openssh-client',
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  unshare: 'util-linux',
  setpriv: 'util-linux',
};
/** Ordinary users build in a user namespace with a range of user ids. */
const PROGRAMS_FOR_USERS: Readonly<Record<string, string>> = { newuidmap: 'uidmap', newgidmap: 'uidmap' };

const GIB = 1024 ** 3;
/** Measured: 0.25 GiB of packages, 0.3 GiB root file system, 0.2 GiB kernel, and as much again while another build is replaced. */
const NEEDED_DISK_GIB = 2;
/** Packages are installed in memory (tmpfs); archives and installed files stay below this. */
const NEEDED_MEMORY_GIB = 1;

/** What was found on the machine. */
export type BuildFacts = {
  userId: number;
  userName: string;
  /** ID of os-release. */
  distribution: string;
  /** As dpkg calls it. */
  architecture: string;
  missingPrograms: readonly string[];
  /** Ranges in both /etc/subuid and /etc/subgid. */
  hasIdRanges: boolean;
  /** Why no user namespace can be made; null when it can, or when none is needed. */
  namespaceError: string | null;
  hasPackageLists: boolean;
  /** The kernel's headers for programs, which musl-gcc does not bring. */
  hasKernelHeaders: boolean;
  freeDiskBytes: number;
  availableMemoryBytes: number;
};

/** Something that stands in the way of a build, with what mends it. */
export type BuildObstacle = { kind: 'prerequisite' | 'space'; problem: string; remedy: string };

/** @returns the programs to look for, with their packages. */
export function neededPrograms(userId: number): Readonly<Record<string, string>> {
  return userId === 0 ? PROGRAMS : { ...PROGRAMS, ...PROGRAMS_FOR_USERS };
}

/** @returns everything that is in the way, so that one try tells all of it. */
export function buildObstacles(facts: BuildFacts): BuildObstacle[] {
  return [...systemObstacles(facts), ...(facts.userId === 0 ? [] : namespaceObstacles(facts)), ...spaceObstacles(facts)];
}

function systemObstacles(facts: BuildFacts): BuildObstacle[] {
  const obstacles: BuildObstacle[] = [];
  const add = (problem: string, remedy: string): number => obstacles.push({ kind: 'prerequisite', problem, remedy });
  if (facts.distribution !== 'debian') add('a bundle can only be built on Debian', 'banger bundle fetch');
  if (facts.architecture !== 'amd64') add(`a bundle cannot be built on ${facts.architecture} yet`, 'banger bundle fetch');
  if (facts.missingPrograms.length > 0) {
    const packages = new Set(facts.missingPrograms.map((program) => neededPrograms(facts.userId)[program] ?? program));
    add(`not installed: ${facts.missingPrograms.join(', ')}`, `sudo apt-get install ${[...packages].join(' ')}`);
  }
  if (!facts.hasKernelHeaders) add('not installed: /usr/include/linux', 'sudo apt-get install linux-libc-dev');
  if (!facts.hasPackageLists) add("apt's package lists are missing", 'sudo apt-get update');
  return obstacles;
}

function namespaceObstacles(facts: BuildFacts): BuildObstacle[] {
  if (!facts.hasIdRanges) {
    const problem = `${facts.userName} has no range of ids in /etc/subuid and /etc/subgid`;
    const remedy = `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${facts.userName}`;
    return [{ kind: 'prerequisite', problem, remedy }];
  }
  if (facts.namespaceError === null) return [];
  const remedy = 'sudo sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1';
  return [{ kind: 'prerequisite', problem: `user namespaces cannot be used (${facts.namespaceError})`, remedy }];
}

function spaceObstacles(facts: BuildFacts): BuildObstacle[] {
  const obstacles: BuildObstacle[] = [];
  const gib = (bytes: number): string => (bytes / GIB).toFixed(1);
  if (facts.freeDiskBytes < NEEDED_DISK_GIB * GIB) {
    const problem = `${gib(facts.freeDiskBytes)} GiB of disk are free, ${NEEDED_DISK_GIB} are needed`;
    obstacles.push({ kind: 'space', problem, remedy: 'free some space, or set BANGER_CACHE_DIR to a directory that has more' });
  }
  if (facts.availableMemoryBytes < NEEDED_MEMORY_GIB * GIB) {
    const problem = `${gib(facts.availableMemoryBytes)} GiB of memory are available, ${NEEDED_MEMORY_GIB} is needed`;
    obstacles.push({ kind: 'space', problem, remedy: 'end some programs' });
  }
  return obstacles;
}

/** @throws BangerError PREREQUISITE_MISSING that names all that is in the way; NO_SPACE when only space is */
export function refuseObstacles(obstacles: readonly BuildObstacle[]): void {
  if (obstacles.length === 0) return;
  throw new BangerError(
    obstacles.every((obstacle) => obstacle.kind === 'space') ? 'NO_SPACE' : 'PREREQUISITE_MISSING',
    `The runtime bundle cannot be built here: ${obstacles.map((obstacle) => obstacle.problem).join('; ')}.`,
    { remedy: obstacles.map((obstacle) => obstacle.remedy).join('; '), details: { obstacles } },
  );
}
