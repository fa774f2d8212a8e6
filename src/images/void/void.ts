// Experimental. banger reads the packages itself, instead of running Void's xbps-install over its ready-made root file system: tests could
// have neither (no Debian package contains xbps), and a test against a stand-in for xbps would prove nothing (docs/adr/0011).
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import { parsePackageList } from '../bundle/root-packages.ts';
import type { Distribution, FetchRequest, FetchedSystem } from '../distribution.ts';
import { checkAssembling } from '../import/assemble.ts';
import { assembleSystem } from './assemble-system.ts';
import { checkSizes, fetchPackages, fetchRepository, type Mirror } from './fetch-packages.ts';
import { type Chosen, kernelPackage, resolve } from './resolve.ts';
import { readTrustedKeys } from './signature.ts';

export const VOID_FOLDER = 'images/void';

export type VoidContext = {
  /** Directory with images/void; null if there is none. */
  sourceRoot: string | null;
  cacheDirectory: string;
  host: Host;
  settings: {
    /** Address of the directory with the index. */
    mirror: string;
    /** Directory of additional trusted public keys. */
    keys?: string | undefined;
  };
  /** @returns path of the guest agent. @throws BUNDLE_MISSING */
  agentPath(): string;
};

/** Void Linux for x86-64 with glibc, from its own packages. */
export function voidLinux(context: VoidContext): Distribution {
  const { host, settings } = context;
  const folder = (): string => {
    if (context.sourceRoot !== null) return join(context.sourceRoot, VOID_FOLDER);
    throw new BangerError('UNSUPPORTED', `this installation lacks ${VOID_FOLDER}`, {
      remedy: 'reinstall banger, or run it from a checkout',
    });
  };
  const keys = () => readTrustedKeys([join(folder(), 'keys'), ...(settings.keys === undefined ? [] : [settings.keys])]);
  return {
    packages: async () => parsePackageList(await readFile(join(folder(), 'packages.txt'), 'utf8')),
    configure: () => readFile(join(folder(), 'configure.sh'), 'utf8'),
    async check() {
      if (process.arch !== 'x64')
        throw new BangerError('UNSUPPORTED', `Void images can only be built on x86-64, and this is ${process.arch}`);
      context.agentPath();
      await keys();
      await checkAssembling(host);
    },
    fetch: async (request) =>
      fetchSystem({ ...context, ...request, mirror: { ...(await mirrorOf(context)), keys: await keys(), signal: request.signal } }),
  };
}

async function mirrorOf({ settings, cacheDirectory, host }: VoidContext): Promise<Omit<Mirror, 'keys' | 'signal'>> {
  const directory = join(cacheDirectory, 'packages');
  await host.makePrivateDirectory(directory);
  return { url: settings.mirror.replace(/\/$/, ''), cacheDirectory: directory, host };
}

type Fetching = FetchRequest & Pick<VoidContext, 'agentPath' | 'host'> & { mirror: Mirror };

async function fetchSystem({ mirror, names, onProgress, onLog, ...context }: Fetching): Promise<FetchedSystem> {
  onProgress(`reading the index of ${mirror.url}`);
  const repository = await fetchRepository(mirror);
  const kernel = kernelPackage(repository);
  const chosen = resolve(repository, [...names, kernel]);
  const packages = chosen.map(({ one }) => one);
  await checkSizes(packages, mirror);
  onLog(`${packages.length} packages, signed by ${repository.signedBy || 'an unnamed owner'} (${repository.key.fingerprint})`);
  for (const line of describe(chosen)) onLog(line);
  const totalBytes = packages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  const paths = await fetchPackages(mirror, repository.key, packages, ({ sizeBytes }, done) => {
    doneBytes += sizeBytes;
    onProgress(`${done} of ${packages.length} packages, ${formatSize(totalBytes)}`, doneBytes / Math.max(totalBytes, 1));
  });
  return {
    assemble: (request) =>
      assembleSystem({
        ...request,
        host: context.host,
        agentPath: context.agentPath(),
        packages: chosen.map((choice, at) => ({ ...choice, path: paths[at] ?? '' })),
        kernel: { name: kernel, path: request.kernel },
        repository,
        mirror: mirror.url.startsWith('file:') ? null : mirror.url,
      }),
  };
}

function describe(chosen: readonly Chosen[]): string[] {
  return chosen.map(({ one, automatic }) => `  ${one.pkgver}${automatic ? ' (needed by others)' : ''}`);
}
