// The requirements of each command on this host and its VM, in one table. A command that lacks one is refused before it changes anything,
// and doctor shows them for the whole host.
import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import type { Vm } from '../../model/vm.ts';
import { capabilityFindings, imageFindings } from './findings.ts';
import { type Finding, refuseFailures } from '../../model/finding.ts';
import type { LifecycleServices, World } from '../../context/services.ts';

/** The subject of a command. */
type Subject = { vm?: Vm; image?: Image };

/** A check of one requirement. */
type Check = {
  run(services: LifecycleServices, subject: Subject): Promise<Finding[]>;
  /** Whether it runs without a subject. */
  ofHost: boolean;
};

const CHECKS = {
  /** Overlay and work disk of an idle VM take a few MiB; a disk that gets full later costs the user more than a refusal now. */
  'free-space': {
    ofHost: true,
    async run({ vms, world: { files }, settings }) {
      const directory = vms.pathsOf({ id: '' }).directory;
      await files.makePrivateDirectory(directory);
      const free = await files.freeBytes(directory);
      if (free >= settings.reservedBytes) return [];
      const reason = `only ${formatSize(free)} are free below ${directory}, and ${formatSize(settings.reservedBytes)} are kept in reserve`;
      const remedy = 'delete VMs, or put BANGER_STATE_DIR on a larger disk';
      return [{ name: 'free-space', level: 'fail', code: 'NO_SPACE', reason, remedy }];
    },
  },
  /** Programs, devices and rights of VMM, network and storage: each driver knows its own, with their packages. */
  drivers: {
    ofHost: false,
    async run({ vms: { drivers } }, { vm }) {
      try {
        await drivers.choose(vm?.runtime ?? null);
        return [];
      } catch (error) {
        if (!(error instanceof BangerError)) throw error;
        const { code, message, remedy = 'banger doctor' } = error;
        return [{ name: 'drivers', level: 'fail', code, reason: message, remedy }];
      }
    },
  },
  /** Disks, keys and image files. */
  'own-files': {
    ofHost: false,
    run: async (services, { vm }) => (vm === undefined ? [] : capabilityFindings(services, vm)),
  },
  'image-files': {
    ofHost: false,
    run: async (services, { image }) => (image === undefined ? [] : imageFindings(services, image)),
  },
  'ssh-client': { ofHost: true, run: ({ world }) => programFindings(world, 'ssh-client', 'ssh', 'openssh-client') },
  /** Only for an image without a work seed, banger makes a work disk's file system. */
  mke2fs: {
    ofHost: false,
    run: async ({ world }, { image }) =>
      image?.workSeedPath === null
        ? [...(await programFindings(world, 'mke2fs', 'mke2fs', 'e2fsprogs')), ...(await confinementFindings(world))]
        : [],
  },
  /** Programs that read data of guests and strangers run confined, or not at all. */
  confinement: { ofHost: true, run: ({ world }) => confinementFindings(world) },
  /** What the driver of a VM's disks needs to grow them. */
  growth: {
    ofHost: false,
    run: async ({ vms: { drivers } }, { vm }) => (await drivers.of(vm?.runtime ?? null).storage?.root.growChecks?.()) ?? [],
  },
} as const satisfies Record<string, Check>;

/** @param debianPackage with the program */
async function programFindings(
  { processes }: Pick<World, 'processes'>,
  name: string,
  program: string,
  debianPackage: string,
): Promise<Finding[]> {
  if ((await processes.findProgram(program, processes.commandEnvironment()['PATH'] ?? '')) !== undefined) return [];
  return [{ name, level: 'fail', reason: `${program} is not installed`, remedy: `sudo apt-get install ${debianPackage}` }];
}

async function confinementFindings({ processes }: Pick<World, 'processes'>): Promise<Finding[]> {
  const problem = await processes.confinementProblem();
  return problem === undefined ? [] : [{ name: 'confinement', level: 'fail', ...problem }];
}

type CheckName = keyof typeof CHECKS;

/** Commands that the daemon checks first; the build of a bundle has a list of its own (images/bundle/preflight.ts). */
const COMMANDS = {
  'vm create': ['image-files', 'mke2fs', 'free-space', 'drivers'],
  'vm start': ['drivers', 'own-files'],
  'vm set --disk-size': ['free-space', 'growth'],
  'vm ssh': ['ssh-client'],
  'image build': ['image-files', 'free-space', 'confinement'],
  'image build --distribution': ['free-space', 'confinement'],
  'image import': ['free-space', 'confinement'],
} as const satisfies Record<string, readonly CheckName[]>;

export type CheckedCommand = keyof typeof COMMANDS;

/**
 * Runs before a command changes anything.
 * @throws PREREQUISITE_MISSING, NO_SPACE, STORAGE_FAILED or NOT_FOUND with every failed check and its remedy
 */
export async function preflight(services: LifecycleServices, command: CheckedCommand, subject: Subject = {}): Promise<void> {
  const findings: Finding[] = [];
  for (const name of COMMANDS[command]) findings.push(...(await (CHECKS[name] as Check).run(services, subject)));
  refuseFailures(findings, '', { command });
}

/** @returns what this host lacks for some command, and for which */
export async function hostFindings(services: LifecycleServices): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, check] of Object.entries(CHECKS) as [CheckName, Check][]) {
    if (!check.ofHost) continue;
    const commands = Object.entries(COMMANDS).flatMap(([command, names]) => ((names as readonly string[]).includes(name) ? command : []));
    for (const finding of await check.run(services, {})) {
      findings.push({ ...finding, reason: `${finding.reason}; needed by ${commands.map((command) => `banger ${command}`).join(', ')}` });
    }
  }
  return findings;
}
