import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { distributionSources, keptAptOptions, parseDeb822, parseOneLine, renderSources } from './apt-sources.ts';
import type { AptSource } from './apt-sources.ts';
import { readOsRelease } from './build-facts.ts';
import { inNamespace } from './namespace.ts';

/** The sources of packages: the mirrors and settings of this machine. */
export type PackageOrigin = { codename: string; sources: string; aptOptions: string[] };

/**
 * @returns the machine's own Debian mirrors, so that a build works wherever `apt install` does
 * @throws BangerError PREREQUISITE_MISSING if there are none
 */
export async function packageOrigin(host: Host): Promise<PackageOrigin> {
  const codename = (await readOsRelease(host))['VERSION_CODENAME'] ?? '';
  const entries: AptSource[] = parseOneLine((await host.readIfThere('/etc/apt/sources.list')) ?? '');
  const names = await readdir('/etc/apt/sources.list.d').catch(() => []);
  for (const name of names.toSorted((a, b) => a.localeCompare(b, 'en'))) {
    const text = (await host.readIfThere(join('/etc/apt/sources.list.d', name))) ?? '';
    if (name.endsWith('.sources')) entries.push(...parseDeb822(text));
    else if (name.endsWith('.list')) entries.push(...parseOneLine(text));
  }
  const sources = distributionSources(entries, codename);
  if (sources.length === 0) {
    throw new BangerError('PREREQUISITE_MISSING', `apt's sources have no Debian mirror for ${codename || 'this release'}.`, {
      remedy: 'add the mirror of this Debian release to /etc/apt/sources.list',
    });
  }
  const settings = await host.run(['apt-config', 'dump', 'Acquire']);
  return { codename, sources: renderSources(sources), aptOptions: keptAptOptions(settings.stdout) };
}

/** @returns names in a package list: one per line, `#` begins a comment */
export function parsePackageList(text: string): string[] {
  const names = text.split('\n').map((line) => line.replace(/#.*/, '').trim());
  return names.filter((name) => name !== '');
}

export type InstallRequest = {
  origin: PackageOrigin;
  packages: readonly string[];
  /** `images/debian` of the sources. */
  scripts: string;
  sourceDateEpoch: number;
  userId: number;
};

/** Installs the packages and writes the tree as `root.tar` into `directory`. */
export async function installPackages(
  request: InstallRequest,
  directory: string,
  host: Host,
  options: { signal: AbortSignal; onLine: (line: string) => void },
): Promise<void> {
  const mountPoint = join(directory, 'mount');
  const sourcesPath = join(directory, 'debian.sources');
  await host.makePrivateDirectory(mountPoint);
  await host.writeFileAtomic(sourcesPath, request.origin.sources, 0o644);
  const argv = [
    ...['sh', join(request.scripts, 'bootstrap.sh'), mountPoint, join(directory, 'root.tar')],
    ...mmdebstrapArgv(request, sourcesPath),
  ];
  await host.run(inNamespace(request.userId, argv), { timeoutMs: 3_600_000, ...options });
}

/** The namespaces belong to this user, so mmdebstrap works as root in them, also for ordinary users. */
function mmdebstrapArgv(request: InstallRequest, sourcesPath: string): string[] {
  const { origin } = request;
  return [
    ...['env', `SOURCE_DATE_EPOCH=${request.sourceDateEpoch}`],
    ...['mmdebstrap', '--verbose', '--mode=root', '--variant=minbase', '--format=tar'],
    ...origin.aptOptions.map((option) => `--aptopt=${option}`),
    `--include=${request.packages.join(',')}`,
    ...[origin.codename, '-', sourcesPath],
  ];
}

/** mmdebstrap installs in two batches. The first, the essential packages, takes this share of the time (measured). */
const FIRST_BATCH_SHARE = 0.4;
const PROGRESS_LINE = /^(Get:\d+ \S+ \S+ \S+|Unpacking|Setting up) ([a-z0-9][^\s:]*)(?=[\s:])(?!.* (?:InRelease|Packages) \[)/;

/** @returns a function that turns apt's and dpkg's lines into the fraction that is done, undefined for other lines */
export function packageProgress(): (line: string) => { fraction: number; text: string } | undefined {
  let batch = 0;
  let announced = 0;
  let done = 0;
  return (line) => {
    const count = /^\d+ upgraded, (\d+) newly installed/.exec(line)?.[1];
    if (count !== undefined) {
      batch += 1;
      // Each package is fetched, unpacked and set up.
      announced = Math.max(3 * Number(count), 1);
      done = 0;
    }
    const [, verb, name] = PROGRESS_LINE.exec(line) ?? [];
    if (verb === undefined || batch === 0) return undefined;
    done = Math.min(done + 1, announced);
    const start = batch === 1 ? 0 : FIRST_BATCH_SHARE;
    const share = batch === 1 ? FIRST_BATCH_SHARE : 1 - FIRST_BATCH_SHARE;
    return { fraction: start + (share * done) / announced, text: `${verb.startsWith('Get') ? 'Fetching' : verb} ${name}` };
  };
}

/** @returns the names in `images/debian/packages.txt` */
export async function readPackageList(scripts: string): Promise<string[]> {
  return parsePackageList(await readFile(join(scripts, 'packages.txt'), 'utf8'));
}
