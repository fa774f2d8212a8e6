import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { resolveReference } from '../../model/reference.ts';
import { BangerError } from '../../model/errors.ts';
import type { Vm } from '../../model/vm.ts';
import { clientSignal } from '../request-signal.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';
import { withSession } from '../sessions.ts';

const params = z.object({ ref: z.string().max(200) });
/** PATH_MAX of Linux counts the final NUL. */
const guestPath = z
  .string()
  .startsWith('/')
  .max(4095)
  .regex(/^[^\0]*$/, 'must be a path without NUL');

/** Files in and out of the guest, as streams. */
export function guestFileRoutes(server: TypedServer, services: DaemonServices): void {
  const resolve = (reference: string) => resolveReference('VM', services.vms, reference);
  /** From the request to the last byte of its answer. */
  const copying = (reference: string, reply: FastifyReply): Vm => {
    const vm = resolve(reference);
    reply.raw.once('close', services.openSessions.begin(vm.name, 'vm cp'));
    return vm;
  };

  server.get('/v1/vms/:ref/stat', { schema: { params, querystring: z.strictObject({ path: guestPath }) } }, (request, reply) =>
    withSession(services, resolve(request.params.ref), ({ agent }) => agent.stat(request.query.path, { signal: clientSignal(reply) })),
  );

  server.get('/v1/vms/:ref/files', { schema: { params, querystring: z.strictObject({ path: guestPath }) } }, (request, reply) =>
    withSession(services, copying(request.params.ref, reply), async ({ agent }) => {
      const file = await agent.getFile(request.query.path, { signal: clientSignal(reply) });
      return reply
        .type('application/octet-stream')
        .header('content-length', file.sizeBytes)
        .header('x-size', file.sizeBytes)
        .header('x-mode', file.mode.toString(8))
        .send(file.content);
    }),
  );

  const querystring = z.strictObject({
    path: guestPath,
    mode: z
      .string()
      .regex(/^[0-7]{3,4}$/, 'must be an octal mode such as 0644')
      .default('0644'),
  });
  server.put('/v1/vms/:ref/files', { schema: { params, querystring } }, (request, reply) =>
    withSession(services, copying(request.params.ref, reply), async ({ agent }) => {
      const sizeBytes = Number(request.headers['content-length']);
      if (!(request.body instanceof Readable) || !Number.isSafeInteger(sizeBytes)) {
        throw new BangerError('INVALID_INPUT', 'a file is sent as application/octet-stream with a Content-Length');
      }
      const file = { content: request.body, sizeBytes, mode: Number.parseInt(request.query.mode, 8) };
      await agent.putFile(request.query.path, file, { signal: clientSignal(reply) });
      return reply.status(204).send();
    }),
  );
}
