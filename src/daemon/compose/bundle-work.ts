import { realHost } from '../../host/host.ts';
import { buildBundle } from '../../images/bundle/build-bundle.ts';
import { bundleStatus } from '../../images/bundle/bundle-status.ts';
import type { BundlePlaces } from '../../images/bundle/find-bundle.ts';
import type { Operations } from '../../lifecycle/operations.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import type { DaemonServices } from '../services.ts';

/** Where bundles are looked for, made, and made from. */
export type Places = {
  bundle: BundlePlaces;
  buildDirectory: string;
  /** Null in an installation that brings no sources. */
  sourceRoot: string | null;
  cacheDirectory: string;
};

/** `bundle status` and `bundle build` of the daemon. */
export function bundleWork(context: {
  places: Places;
  operations: Operations;
  onBuilt: () => Promise<unknown>;
  /** Images that have records; their files are needed. */
  images: () => Image[];
}): Pick<DaemonServices, 'bundleStatus' | 'buildBundle'> {
  const { places, operations } = context;
  return {
    bundleStatus: () => bundleStatus({ places: places.bundle, sourceRoot: places.sourceRoot, host: realHost }),
    buildBundle({ force }) {
      const { sourceRoot } = places;
      if (sourceRoot === null) {
        throw new BangerError('UNSUPPORTED', 'this installation brings no sources to build a bundle from', {
          remedy: 'banger bundle fetch',
        });
      }
      return operations.begin('bundle.build', null, async (operation) => {
        const { superseded } = await buildBundle({
          directory: places.buildDirectory,
          sourceRoot,
          cacheDirectory: places.cacheDirectory,
          host: realHost,
          signal: operation.signal,
          force,
          onStage: ({ name, state, durationMs }) =>
            operation.journal(
              { name, title: name },
              ({ started: 'started', kept: 'skipped', finished: 'done' } as const)[state],
              durationMs,
            ),
          onProgress: ({ stage, text, fraction }) => operation.progress(stage, text, fraction),
          onLog: () => undefined,
        });
        await context.onBuilt();
        const needed = new Set(
          context.images().flatMap((image) => [image.kernelPath, image.initramfsPath, image.rootfsPath, image.workSeedPath]),
        );
        for (const path of superseded) if (!needed.has(path)) await realHost.removeTree(path);
      });
    },
  };
}
