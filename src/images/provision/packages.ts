import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { packageOrigin, type PackageOrigin } from '../bundle/root-packages.ts';

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
 * outside, and none of the work is emulated.
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
  await host.writeFileAtomic(join(cacheDirectory, 'status'), request.status);
  const apt = ['apt-get', ...aptOptions(cacheDirectory, origin), '-q', '-y'];
  const install = ['install', '--no-install-recommends', ...request.names];
  const run = (words: string[]) => host.run([...apt, ...words], { signal, onLine, timeoutMs: 3_600_000 });
  try {
    await run(['update']);
    await run(['--download-only', ...install]);
    // Lines of `'URI' file size hash` name what is lacking; archives of earlier builds lie there too.
    const { stdout } = await run(['--print-uris', '-o', `Dir::Cache::Archives=${join(cacheDirectory, 'none')}`, ...install]);
    const wanted = [...stdout.matchAll(/^'[^']+' (\S+\.deb) \d+/gm)].map(([, file = '']) => file);
    const present = new Set(await readdir(archives));
    return wanted.filter((file) => present.has(file)).map((file) => join(archives, file));
  } catch (error) {
    if (signal.aborted) throw error;
    throw new BangerError('DOWNLOAD_FAILED', `packages could not be fetched: ${error instanceof Error ? error.message : String(error)}`, {
      remedy: 'sudo apt-get update',
      cause: error,
    });
  }
}

/** apt with directories of its own, so that an ordinary user can run it and nothing of the host's is touched (apt.conf(5)). */
function aptOptions(directory: string, origin: PackageOrigin): string[] {
  const settings = [
    `Dir::Etc::SourceList=${join(directory, 'apt.sources')}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${join(directory, 'lists')}`,
    `Dir::State::status=${join(directory, 'status')}`,
    `Dir::State::extended_states=${join(directory, 'extended_states')}`,
    `Dir::Cache=${directory}`,
    `Dir::Cache::Archives=${join(directory, 'archives')}`,
    'Dir::Cache::pkgcache=',
    'Dir::Cache::srcpkgcache=',
    'Debug::NoLocking=1',
    `APT::Sandbox::User=${process.getuid?.() === 0 ? 'root' : ''}`,
    ...origin.aptOptions.map((option) => option.replace(' "', '=').replace(/"$/, '')),
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}
