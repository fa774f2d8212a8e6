import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { distributionSources, keptAptOptions, parseDeb822, parseOneLine, renderSources } from './apt-sources.ts';
import type { AptSource } from './apt-sources.ts';
import { readOsRelease } from './build-facts.ts';
import { inNamespace } from './namespace.ts';

/** Where packages come from: the mirrors and settings of this machine. */
export type PackageOrigin = { codename: string; sources: string; aptOptions: string[] };

/**
 * @returns the machine's own Debian mirrors, so that a build works wherever `apt install` does
 * @throws BangerError PREREQUISITE_MISSING when there are none
 */
export async function packageOrigin(host: Host): Promise<PackageOrigin> {
  const codename = (await readOsRelease(host))['VERSION_CODENAME'] ?? '';
  const entries: AptSource[] = parseOneLine((await host.readIfThere('/etc/apt/sources.list')) ?? '');
  const names = await readdir('/etc/apt/sources.list.d').catch(() => []);
  for (const name of names.sort()) {
    const text = (await host.readIfThere(join('/etc/apt/sources.list.d', name))) ?? '';
    if (name.endsWith('.sources')) entries.push(...parseDeb822(text));
    else if (name.endsWith('.list')) entries.push(...parseOneLine(text));
  }
  const sources = distributionSources(entries, codename);
  if (sources.length === 0) {
    throw new BangerError('PREREQUISITE_MISSING', `apt's sources name no Debian mirror for ${codename || 'this release'}.`, {
      remedy: 'add the mirror of this Debian release to /etc/apt/sources.list',
    });
  }
  const settings = await host.run(['apt-config', 'dump', 'Acquire']);
  return { codename, sources: renderSources(sources), aptOptions: keptAptOptions(settings.stdout) };
}

/** @returns names in a package list: one a line, `#` begins a comment. */
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

/** The namespaces are ours, so mmdebstrap works as root in them, for ordinary users too. */
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

/** @returns a function that turns apt's and dpkg's lines into the fraction that is done, undefined for lines that say nothing about it. */
export function packageProgress(): (line: string) => { fraction: number; text: string } | undefined {
  let announced = 0;
  let done = 0;
  const steps = /^(?:Get:\d+ \S+ \S+ \S+ (?<got>[a-z0-9][^\s:]*) \S+ \S+ \[|Unpacking (?<unpacked>[^\s:]+)|Setting up (?<set>[^\s:]+))/;
  return (line) => {
    const total = /^\d+ upgraded, (\d+) newly installed/.exec(line);
    // Each package is fetched, unpacked and set up.
    if (total !== null) announced += 3 * Number(total[1]);
    const groups = steps.exec(line)?.groups;
    if (groups === undefined) return undefined;
    done += 1;
    const [verb, name] =
      groups['got'] !== undefined
        ? ['Fetching', groups['got']]
        : groups['unpacked'] !== undefined
          ? ['Unpacking', groups['unpacked']]
          : ['Setting up', groups['set']];
    return { fraction: announced === 0 ? 0 : Math.min(done / announced, 1), text: `${verb} ${name}` };
  };
}

/** @returns content of `images/debian/packages.txt` as names. */
export async function readPackageList(scripts: string): Promise<string[]> {
  return parsePackageList(await readFile(join(scripts, 'packages.txt'), 'utf8'));
}
