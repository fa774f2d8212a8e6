import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { parsePackageList } from '../bundle/root-packages.ts';
import { type FetchOptions, fetchArtifact, parseArtifacts } from './artifacts.ts';
import { type ArchiveRequest, fetchArchives } from './packages.ts';
import type { ProvisionStep } from '../../model/provisioning.ts';
import { hashOf } from '../bundle/build-inputs.ts';
import { readSteps } from './steps.ts';

type Fetching = Pick<FetchOptions, 'signal' | 'onLine'>;

/** What guests are provisioned with. */
export type ProvisionSources = {
  /** @throws UNSUPPORTED in an installation without them */
  steps(): Promise<ProvisionStep[]>;
  /** @returns the hash that an image records of its list of packages */
  hash(names: readonly string[]): string;
  /** Checks for the programs that a build with these steps runs on the host. @throws PREREQUISITE_MISSING */
  check(steps: readonly ProvisionStep[]): Promise<void>;
  /** Scripts of every build. */
  frame(): Promise<{ installPackages: string; clean: string }>;
  /** @returns the path of an archive of artifacts.toml, and its version */
  artifact(name: string, options: Fetching): Promise<{ path: string; version: string }>;
  /** @returns paths of packages' archives; undefined if the guest must fetch them itself */
  archives(request: Omit<ArchiveRequest, 'host' | 'cacheDirectory'>): Promise<string[] | undefined>;
};

const FOLDER = 'images/provision';
/** Programs that run on the host, with the Debian package of each. */
const PROGRAMS: Readonly<Record<string, string>> = { e2fsck: 'e2fsprogs', resize2fs: 'e2fsprogs', npm: 'npm', git: 'git' };

/** @param context.sourceRoot directory with images/provision; null if there is none */
export function createProvisionSources(context: {
  sourceRoot: string | null;
  cacheDirectory: string;
  host: Host;
  settings: Pick<FetchOptions, 'npmRegistry' | 'gitMirror'>;
}): ProvisionSources {
  const { cacheDirectory, host } = context;
  const folder = (): string => {
    if (context.sourceRoot !== null) return join(context.sourceRoot, FOLDER);
    throw new BangerError('UNSUPPORTED', `this installation lacks ${FOLDER}`, {
      remedy: 'reinstall banger, or run it from a checkout',
    });
  };
  const read = (name: string): Promise<string> => readFile(join(folder(), name), 'utf8');
  return {
    async steps() {
      const list = parsePackageList(await read('packages.txt'));
      return readSteps(folder(), (name) => (name === 'packages.txt' ? list : []));
    },
    hash: (names) => hashOf(...names),
    async check(steps) {
      const artifacts = parseArtifacts(await read('artifacts.toml'));
      const clients = steps
        .flatMap((step) => step.artifacts)
        .map((name) => (artifacts[name] !== undefined && 'git' in artifacts[name] ? 'git' : 'npm'));
      const searchPath = host.commandEnvironment()['PATH'] ?? '';
      const missing: string[] = [];
      for (const [program, source] of Object.entries(PROGRAMS)) {
        const isNeeded = source === 'e2fsprogs' || clients.some((client) => client === program);
        if (isNeeded && (await host.findProgram(program, searchPath)) === undefined) missing.push(program);
      }
      if (missing.length === 0) return;
      throw new BangerError('PREREQUISITE_MISSING', `an image cannot be built here; not installed: ${missing.join(', ')}`, {
        remedy: `sudo apt-get install ${[...new Set(missing.map((program) => PROGRAMS[program]))].join(' ')}`,
        details: { missing },
      });
    },
    frame: async () => ({ installPackages: await read('install-packages.sh'), clean: await read('clean.sh') }),
    async artifact(name, options) {
      const artifact = parseArtifacts(await read('artifacts.toml'))[name];
      if (artifact === undefined) throw new BangerError('INTERNAL', `artifacts.toml does not name ${name}`);
      const directory = join(cacheDirectory, 'artifacts');
      await host.makePrivateDirectory(directory);
      const path = await fetchArtifact(name, artifact, { ...options, ...context.settings, host, cacheDirectory: directory });
      return { path, version: artifact.version };
    },
    archives: (request) => fetchArchives({ ...request, host, cacheDirectory: join(cacheDirectory, 'apt') }),
  };
}
