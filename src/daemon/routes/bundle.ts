import { z } from 'zod';
import { bundleStatusSchema, operationSchema } from '../../api/schemas.ts';
import { BangerError } from '../../model/errors.ts';
import { type Attachments, acceptOperation } from '../attachments.ts';
import type { TypedServer } from '../server.ts';
import type { BundleSource, DaemonServices } from '../services.ts';

/** The runtime bundle: what is there, and how it is made. */
export function bundleRoutes(server: TypedServer, services: DaemonServices, attachments: Attachments): void {
  const accept = acceptOperation(attachments);

  server.get('/v1/bundle', { schema: { response: { 200: bundleStatusSchema } } }, () => services.bundleStatus());

  const absolutePath = z.string().startsWith('/').max(4096);
  const buildBody = z
    .strictObject({
      force: z.boolean().optional(),
      firecracker: absolutePath.optional().describe('program to copy into the bundle'),
      jailer: absolutePath.optional().describe('of the same release; only with firecracker'),
    })
    .nullish();
  server.post('/v1/bundle/build', { schema: { body: buildBody, response: { 202: operationSchema } } }, (request, reply) => {
    const { force = false, firecracker, jailer } = request.body ?? {};
    if (firecracker === undefined && jailer !== undefined) throw new BangerError('INVALID_INPUT', 'jailer goes only with firecracker');
    const programs = firecracker === undefined ? {} : { programs: { firecracker, ...(jailer === undefined ? {} : { jailer }) } };
    return accept(request, reply, services.buildBundle({ force, ...programs }));
  });

  const address = z.url({ protocol: /^(https?|file)$/ }).max(4096);
  const fetchBody = z.strictObject({
    program: z.literal('firecracker').optional().describe('only this program into the bundle that is there; default: a whole bundle'),
    manifest: address.optional().describe('runtime-bundle.toml of a bundle; default: the one of the installation'),
    url: address.optional().describe('release archive of the program; default: the pinned one'),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional()
      .describe('of that archive, or of that manifest'),
  });
  server.post('/v1/bundle/fetch', { schema: { body: fetchBody, response: { 202: operationSchema } } }, (request, reply) => {
    const { program, manifest, url, sha256 } = request.body;
    if (program === undefined) return accept(request, reply, services.fetchBundle(sourceOf(request.body)));
    if (manifest !== undefined) throw new BangerError('INVALID_INPUT', 'manifest is of a bundle, not of a program');
    if ((url === undefined) !== (sha256 === undefined)) {
      throw new BangerError('INVALID_INPUT', 'url and sha256 go together: what is fetched from elsewhere must be known', {
        remedy: 'take the checksum that is published with the archive',
      });
    }
    return accept(request, reply, services.fetchFirecracker(url === undefined || sha256 === undefined ? undefined : { url, sha256 }));
  });

  const packageBody = z.strictObject({
    path: absolutePath.describe('of the archive, on the machine of the daemon; runtime-bundle.toml is written beside it'),
    url: address.optional().describe('where the archive will be; default: beside its manifest'),
  });
  server.post('/v1/bundle/package', { schema: { body: packageBody, response: { 202: operationSchema } } }, (request, reply) => {
    const { path, url } = request.body;
    return accept(request, reply, services.packageBundle({ path, ...(url === undefined ? {} : { url }) }));
  });
}

type FetchBody = { manifest?: string | undefined; url?: string | undefined; sha256?: string | undefined };

/** @returns undefined for the bundle of the installation @throws INVALID_INPUT */
function sourceOf({ manifest, url, sha256 }: FetchBody): BundleSource | undefined {
  if (url !== undefined) throw new BangerError('INVALID_INPUT', 'url is of a program; a bundle has a manifest');
  if (manifest !== undefined) return { manifestUrl: manifest, ...(sha256 === undefined ? {} : { manifestSha256: sha256 }) };
  if (sha256 === undefined) return undefined;
  throw new BangerError('INVALID_INPUT', 'sha256 goes with url or manifest: it says what is fetched from there');
}
