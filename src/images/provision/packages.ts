import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { packageOrigin } from '../bundle/root-packages.ts';

export type ArchiveRequest = {
  /** Of the image, such as `debian trixie`. */
  distribution: string;
  /** The guest's /var/lib/dpkg/status: what it has already is not fetched. */
  status: string;
  names: readonly string[];
  /** Keeps package lists and archives for later builds. */
  cacheDirectory: string;
  host: Host;
  signal: AbortSignal;
  onLine: (line: string) => void;
};

/**
 * Fetches packages for a guest by the host's apt, which knows the mirrors and checks the signatures; the guest needs no way to the
 * outside, and none of the work is emulated. What the guest wrote is read by an apt that is confined: it says which packages are
 * lacking, and the one that fetches them never sees it.
 * @returns paths of the archives that the guest lacks; undefined when this host is of another release
 * @throws DOWNLOAD_FAILED
 */
export async function fetchArchives(request: ArchiveRequest): Promise<string[] | undefined> {
  const { host, cacheDirectory, signal, onLine } = request;
  const origin = await packageOrigin(host).catch(() => undefined);
  if (origin === undefined || request.distribution !== `debian ${origin.codename}`) return undefined;
  const archives = join(cacheDirectory, 'archives');
  for (const directory of ['lists/partial', 'archives/partial']) await host.makePrivateDirectory(join(cacheDirectory, directory));
  await host.writeFileAtomic(join(cacheDirectory, 'apt.sources'), origin.sources);
  await host.writeFileAtomic(join(cacheDirectory, 'no-status'), '');
  const user = `APT::Sandbox::User=${process.getuid?.() === 0 ? 'root' : ''}`;
  const kept = origin.aptOptions.map((option) => option.replace(' "', '=').replace(/"$/, ''));
  const apt = ['apt-get', ...aptOptions(cacheDirectory, 'no-status', [user, ...kept]), '-q', '-y'];
  const run = (words: string[]) => host.run([...apt, ...words], { cwd: archives, signal, onLine, timeoutMs: 3_600_000 });
  try {
    await run(['update']);
    const wanted = await lackingPackages(request);
    const present = new Set(await readdir(archives));
    const absent = wanted.filter(({ file }) => !present.has(file));
    if (absent.length > 0) await run(['download', ...absent.map(({ name, version }) => `${name}=${version}`)]);
    const fetched = new Set(await readdir(archives));
    return wanted.filter(({ file }) => fetched.has(file)).map(({ file }) => join(archives, file));
  } catch (error) {
    if (signal.aborted) throw error;
    throw new BangerError('DOWNLOAD_FAILED', `packages could not be fetched: ${error instanceof Error ? error.message : String(error)}`, {
      remedy: 'sudo apt-get update',
      cause: error,
    });
  }
}

type LackingPackage = { file: string; name: string; version: string };

/** Where everything lies for the apt that is confined. */
const INSIDE = '/apt';

/** @returns what apt would install, of what the lists offer, over what the guest says it has */
async function lackingPackages({ host, cacheDirectory, status, names, signal }: ArchiveRequest): Promise<LackingPackage[]> {
  await host.writeFileAtomic(join(cacheDirectory, 'status'), status);
  const lists = (await readdir(join(cacheDirectory, 'lists'), { withFileTypes: true })).filter((entry) => entry.isFile());
  const copied = ['apt.sources', 'status', ...lists.map(({ name }) => `lists/${name}`)];
  const copies = new Map(copied.map((name) => [`${INSIDE}/${name}`, join(cacheDirectory, name)]));
  // No archive lies there, so each that is lacking is named: as `'URI' file size hash`.
  const settings = ['Dir::Cache=/tmp', 'Dir::Cache::Archives=/tmp'];
  const words = ['--print-uris', '-q', '-y', 'install', '--no-install-recommends', ...names];
  const argv = ['apt-get', ...aptOptions(INSIDE, 'status', settings), ...words];
  const { stdout } = await host.runConfined(argv, { copies }, { signal, timeoutMs: 600_000 });
  return [...stdout.matchAll(/^'[^']+' (([a-z0-9][a-z0-9+.-]*)_([A-Za-z0-9.+~%-]+)_[a-z0-9]+\.deb) \d+/gm)].map((found) => {
    const [, file = '', name = '', version = ''] = found;
    return { file, name, version: version.replaceAll('%3a', ':') };
  });
}

/** apt with directories of its own, so that an ordinary user can run it and nothing of the host's is touched (apt.conf(5)). */
function aptOptions(directory: string, status: string, more: readonly string[]): string[] {
  const settings = [
    `Dir::Etc::SourceList=${join(directory, 'apt.sources')}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${join(directory, 'lists')}`,
    `Dir::State::status=${join(directory, status)}`,
    `Dir::State::extended_states=${join(directory, 'extended_states')}`,
    `Dir::Cache=${directory}`,
    `Dir::Cache::Archives=${join(directory, 'archives')}`,
    'Dir::Cache::pkgcache=',
    'Dir::Cache::srcpkgcache=',
    'Debug::NoLocking=1',
    ...more,
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}
