import { Readable } from 'node:stream';
import { z } from 'zod';
import { followFile } from '../../lib/follow-file.ts';
import { beginOfTail } from '../../lib/log-tail.ts';
import { resolveReference } from '../../model/reference.ts';
import { createFollowers, MOST_LOG_FOLLOWERS } from '../followers.ts';
import { clientSignal } from '../request-signal.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';

/** The raw files of a VM, whole and followed. */
export function logRoutes(server: TypedServer, services: DaemonServices): void {
  const params = z.object({ ref: z.string().max(200) });
  const querystring = z.strictObject({
    kind: z.enum(['serial', 'vmm', 'events']).default('serial'),
    follow: z.enum(['0', '1']).default('0'),
    tail: z
      .string()
      .regex(/^\d{1,9}$/, 'must be a number of lines')
      .optional(),
  });

  const follows = createFollowers(MOST_LOG_FOLLOWERS, 'logs');

  server.get('/v1/vms/:ref/logs', { schema: { params, querystring } }, async (request, reply) => {
    const vm = resolveReference('VM', services.vms, request.params.ref);
    const paths = services.pathsOf(vm);
    const path = { serial: paths.serialLog, vmm: paths.vmmLog, events: paths.eventLog }[request.query.kind];
    const from = request.query.tail === undefined ? 0 : (await beginOfTail(path, Number(request.query.tail))).begin;
    const follow = request.query.follow === '1';
    if (follow) {
      follows(reply, vm.name);
      reply.raw.once('close', services.openSessions.begin(vm.name, 'vm logs -f'));
    }
    const log = followFile(path, { from, follow, signal: clientSignal(reply) });
    return reply.type('text/plain; charset=utf-8').send(Readable.from(log));
  });
}
