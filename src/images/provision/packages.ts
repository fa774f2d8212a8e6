import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { packageOrigin } from '../bundle/root-packages.ts';
import { messageOf } from '../../lib/message-of.ts';

export type ArchiveRequest = {
  /** Of the image, such as `debian trixie`. */
  distribution: string;
  /** The guest's /var/lib/dpkg/status: packages that it has are not fetched. */
  status: string;
  names: readonly string[];
  /** Keeps package lists and archives for later builds. */
  cacheDirectory: string;
  host: Host;
  signal: AbortSignal;
  onLine: (line: string) => void;
};

/**
 * Fetches packages for a guest with the host's apt, which knows the mirrors and checks the signatures. The guest needs no network, and none
 * of the work is emulated. A confined apt reads the guest's data and says which packages are missing; the apt that fetches them never sees
 * that data.
 * @returns paths of the archives that the guest lacks; undefined if this host is of another release
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
    throw new BangerError('DOWNLOAD_FAILED', `packages could not be fetched: ${messageOf(error)}`, {
      remedy: 'sudo apt-get update',
      cause: error,
    });
  }
}

type LackingPackage = { file: string; name: string; version: string };

/** The directories of the confined apt. */
const INSIDE = '/apt';

/** @returns what apt would install from the lists on top of the guest's packages */
async function lackingPackages({ host, cacheDirectory, status, names, signal }: ArchiveRequest): Promise<LackingPackage[]> {
  await host.writeFileAtomic(join(cacheDirectory, 'status'), status);
  const lists = (await readdir(join(cacheDirectory, 'lists'), { withFileTypes: true })).filter((entry) => entry.isFile());
  const copied = ['apt.sources', 'status', ...lists.map(({ name }) => `lists/${name}`)];
  const copies = new Map(copied.map((name) => [`${INSIDE}/${name}`, join(cacheDirectory, name)]));
  // There are no archives, so apt prints each missing package: `'URI' file size hash`.
  const settings = ['Dir::Cache=/tmp', 'Dir::Cache::Archives=/tmp'];
  const words = ['--print-uris', '-q', '-y', 'install', '--no-install-recommends', ...names];
  const argv = ['apt-get', ...aptOptions(INSIDE, 'status', settings), ...words];
  const { stdout } = await host.runConfined(argv, { copies }, { signal, timeoutMs: 600_000 });
  return [...stdout.matchAll(/^'[^']+' (([a-z0-9][a-z0-9+.-]*)_([A-Za-z0-9.+~%-]+)_[a-z0-9]+\.deb) \d+/gm)].map((found) => {
    const [, file = '', name = '', version = ''] = found;
    return { file, name, version: version.replaceAll('%3a', ':') };
  });
}

/** apt with directories of its own, so that an ordinary user can run it and it does not touch the host's (apt.conf(5)). */
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
