import { BUNDLE_ROUTES } from '../../api/routes/images.ts';
import { BangerError } from '../../model/errors.ts';
import { served, type ServedRoutes } from '../handlers.ts';
import type { BundleSource } from '../../lifecycle/bundle/work.ts';
import type { DaemonServices } from '../services.ts';
import { given } from '../../lib/given.ts';

/** The runtime bundle: its status, and how to make it. */
export function bundleHandlers(services: DaemonServices): ServedRoutes {
  return served(BUNDLE_ROUTES, {
    'GET /v1/bundle': () => services.bundle.status(),
    'POST /v1/bundle/build': ({ body }) => {
      const { force = false, firecracker, jailer } = body ?? {};
      if (firecracker === undefined && jailer !== undefined) throw new BangerError('INVALID_INPUT', 'jailer needs firecracker');
      const programs = firecracker === undefined ? {} : { programs: { firecracker, ...given({ jailer }) } };
      return services.bundle.build({ force, ...programs });
    },
    'POST /v1/bundle/fetch': ({ body }) =>
      body.program === undefined ? services.bundle.fetch(sourceOf(body)) : services.bundle.fetchFirecracker(releaseOf(body)),
    'POST /v1/bundle/package': ({ body: { path, url } }) => services.bundle.package({ path, ...given({ url }) }),
  });
}

type FetchBody = { manifest?: string | undefined; url?: string | undefined; sha256?: string | undefined };

/** @returns undefined for the bundle of the installation @throws INVALID_INPUT */
function sourceOf({ manifest, url, sha256 }: FetchBody): BundleSource | undefined {
  if (url !== undefined) throw new BangerError('INVALID_INPUT', 'url is for a program; name a bundle by its manifest');
  if (manifest !== undefined) return { manifestUrl: manifest, ...given({ manifestSha256: sha256 }) };
  if (sha256 === undefined) return undefined;
  throw new BangerError('INVALID_INPUT', 'sha256 needs url or manifest');
}

/** @returns undefined for the pinned release @throws INVALID_INPUT */
function releaseOf({ manifest, url, sha256 }: FetchBody): { url: string; sha256: string } | undefined {
  if (manifest !== undefined) throw new BangerError('INVALID_INPUT', 'manifest is for a bundle, not for a program');
  if (url === undefined && sha256 === undefined) return undefined;
  if (url !== undefined && sha256 !== undefined) return { url, sha256 };
  throw new BangerError('INVALID_INPUT', 'url and sha256 go together: a download from another address needs a checksum', {
    remedy: 'use the checksum published with the archive',
  });
}
