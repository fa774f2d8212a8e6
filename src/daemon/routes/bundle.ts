import { z } from 'zod';
import { bundleStatusSchema, operationSchema } from '../../api/schemas.ts';
import { BangerError } from '../../model/errors.ts';
import { type Attachments, acceptOperation } from '../attachments.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';

/** The runtime bundle: what is there, and how it is made. */
export function bundleRoutes(server: TypedServer, services: DaemonServices, attachments: Attachments): void {
  const accept = acceptOperation(attachments);

  server.get('/v1/bundle', { schema: { response: { 200: bundleStatusSchema } } }, () => services.bundleStatus());

  const programPath = z.string().startsWith('/').max(4096);
  const buildBody = z
    .strictObject({
      force: z.boolean().optional(),
      firecracker: programPath.optional().describe('program to copy into the bundle'),
      jailer: programPath.optional().describe('of the same release; only with firecracker'),
    })
    .nullish();
  server.post('/v1/bundle/build', { schema: { body: buildBody, response: { 202: operationSchema } } }, (request, reply) => {
    const { force = false, firecracker, jailer } = request.body ?? {};
    if (firecracker === undefined && jailer !== undefined) throw new BangerError('INVALID_INPUT', 'jailer goes only with firecracker');
    const programs = firecracker === undefined ? {} : { programs: { firecracker, ...(jailer === undefined ? {} : { jailer }) } };
    return accept(request, reply, services.buildBundle({ force, ...programs }));
  });

  const fetchBody = z.strictObject({
    program: z.literal('firecracker'),
    url: z
      .url({ protocol: /^(https?|file)$/ })
      .max(4096)
      .optional()
      .describe('release archive; default: the pinned one'),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional()
      .describe('of that archive'),
  });
  server.post('/v1/bundle/fetch', { schema: { body: fetchBody, response: { 202: operationSchema } } }, (request, reply) => {
    const { url, sha256 } = request.body;
    if ((url === undefined) !== (sha256 === undefined)) {
      throw new BangerError('INVALID_INPUT', 'url and sha256 go together: what is fetched from elsewhere must be known', {
        remedy: 'take the checksum that is published with the archive',
      });
    }
    return accept(request, reply, services.fetchFirecracker(url === undefined || sha256 === undefined ? undefined : { url, sha256 }));
  });
}
