import { type Finding, refuseFailures } from '../../model/finding.ts';

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
/** Measured: 0.25 GiB of packages, 0.3 GiB root file system, 0.2 GiB kernel, and the same again while another build is replaced. */
const NEEDED_DISK_GIB = 2;
/** Packages are installed in memory (tmpfs); archives and installed files stay below this. */
const NEEDED_MEMORY_GIB = 1;

/** The facts about this machine. */
export type BuildFacts = {
  userId: number;
  userName: string;
  /** ID of os-release. */
  distribution: string;
  /** In dpkg's terms. */
  architecture: string;
  missingPrograms: readonly string[];
  /** Ranges in both /etc/subuid and /etc/subgid. */
  hasIdRanges: boolean;
  /** Why no user namespace can be made; null if it can, or none is needed. */
  namespaceError: string | null;
  hasPackageLists: boolean;
  /** The kernel's headers for programs, which musl-gcc does not include. */
  hasKernelHeaders: boolean;
  freeDiskBytes: number;
  availableMemoryBytes: number;
};

/** @returns the programs to look for, with their packages */
export function neededPrograms(userId: number): Readonly<Record<string, string>> {
  return userId === 0 ? PROGRAMS : { ...PROGRAMS, ...PROGRAMS_FOR_USERS };
}

/** @returns all reasons why the bundle cannot be built; space comes last, so that NO_SPACE means that only space is missing */
export function buildFindings(facts: BuildFacts): Finding[] {
  return [...systemFindings(facts), ...(facts.userId === 0 ? [] : namespaceFindings(facts)), ...spaceFindings(facts)];
}

function systemFindings(facts: BuildFacts): Finding[] {
  const findings: Finding[] = [];
  const add = (name: string, reason: string, remedy: string): number => findings.push({ name, level: 'fail', reason, remedy });
  if (facts.distribution !== 'debian') add('distribution', 'a bundle can only be built on Debian', 'banger bundle fetch');
  if (facts.architecture !== 'amd64') add('architecture', `a bundle cannot be built on ${facts.architecture} yet`, 'banger bundle fetch');
  if (facts.missingPrograms.length > 0) {
    const packages = new Set(facts.missingPrograms.map((program) => neededPrograms(facts.userId)[program] ?? program));
    add('programs', `not installed: ${facts.missingPrograms.join(', ')}`, `sudo apt-get install ${[...packages].join(' ')}`);
  }
  if (!facts.hasKernelHeaders) add('kernel-headers', 'not installed: /usr/include/linux', 'sudo apt-get install linux-libc-dev');
  if (!facts.hasPackageLists) add('package-lists', "apt's package lists are missing", 'sudo apt-get update');
  return findings;
}

function namespaceFindings(facts: BuildFacts): Finding[] {
  if (!facts.hasIdRanges) {
    const reason = `${facts.userName} has no range of ids in /etc/subuid and /etc/subgid`;
    const remedy = `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${facts.userName}`;
    return [{ name: 'id-ranges', level: 'fail', reason, remedy }];
  }
  if (facts.namespaceError === null) return [];
  const remedy = 'sudo sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1';
  return [{ name: 'user-namespaces', level: 'fail', reason: `user namespaces cannot be used (${facts.namespaceError})`, remedy }];
}

function spaceFindings(facts: BuildFacts): Finding[] {
  const findings: Finding[] = [];
  const gib = (bytes: number): string => (bytes / GIB).toFixed(1);
  if (facts.freeDiskBytes < NEEDED_DISK_GIB * GIB) {
    const reason = `${gib(facts.freeDiskBytes)} GiB of disk are free, ${NEEDED_DISK_GIB} are needed`;
    const remedy = 'free some space, or set BANGER_CACHE_DIR to a directory that has more';
    findings.push({ name: 'disk-space', level: 'fail', code: 'NO_SPACE', reason, remedy });
  }
  if (facts.availableMemoryBytes < NEEDED_MEMORY_GIB * GIB) {
    const reason = `${gib(facts.availableMemoryBytes)} GiB of memory are available, ${NEEDED_MEMORY_GIB} is needed`;
    findings.push({ name: 'memory', level: 'fail', code: 'NO_SPACE', reason, remedy: 'end some programs' });
  }
  return findings;
}

/** @throws PREREQUISITE_MISSING with every finding; NO_SPACE if only space is missing */
export function refuseBuild(facts: BuildFacts): void {
  refuseFailures(buildFindings(facts), 'the runtime bundle cannot be built here: ');
}
