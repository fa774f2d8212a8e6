import type { FastifyReply } from 'fastify';
import { BangerError } from '../model/errors.ts';

/**
 * @returns a signal that fires if the client disconnects before the reply is complete.
 * `request.signal` of Fastify 5 is no use here: it fires for every request with a body (fastify#7033).
 */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new BangerError('CANCELLED', 'the client disconnected'));
  });
  return controller.signal;
}
