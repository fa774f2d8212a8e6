import { Readable } from 'node:stream';
import { z } from 'zod';
import { type OperationEvent, operationSchema } from '../../api/schemas.ts';
import type { Attachments } from '../attachments.ts';
import { createFollowers, MOST_EVENT_FOLLOWERS } from '../followers.ts';
import { clientSignal } from '../request-signal.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';
import { operationView, vmView } from '../views.ts';

const params = z.object({ id: z.string().max(64) });

/** `/v1/operations`: what runs, what ran, and its events from the first on. */
export function operationRoutes(server: TypedServer, services: DaemonServices, attachments: Attachments): void {
  const { operations } = services;
  const follows = createFollowers(MOST_EVENT_FOLLOWERS, 'operations');

  server.get('/v1/operations', { schema: { response: { 200: z.array(operationSchema) } } }, () => operations.list().map(operationView));

  server.get('/v1/operations/:id', { schema: { params, response: { 200: operationSchema } } }, (request) =>
    operationView(operations.get(request.params.id)),
  );

  server.delete('/v1/operations/:id', { schema: { params, response: { 202: operationSchema } } }, (request, reply) => {
    const record = operations.get(request.params.id);
    operations.cancel(record.id);
    reply.status(202);
    return operationView(record);
  });

  server.get('/v1/operations/:id/events', { schema: { params } }, (request, reply) => {
    const { id, vmName } = operations.get(request.params.id);
    follows(reply, vmName);
    const signal = clientSignal(reply);
    return reply.type('application/x-ndjson').send(Readable.from(events(id, signal)));
  });

  async function* events(id: string, signal: AbortSignal): AsyncGenerator<string> {
    attachments.watcherCame(id);
    try {
      let last = { seq: -1, atMs: 0 };
      for await (const event of operations.watch(id, signal)) {
        last = event;
        yield line(event);
      }
      if (signal.aborted) return;
      const ended = await operations.settled(id);
      const vm = ended.vmId === null ? undefined : services.vms.find(ended.vmId);
      yield line({
        type: 'end',
        seq: last.seq + 1,
        atMs: last.atMs,
        state: ended.state === 'running' ? 'failed' : ended.state,
        error: ended.error,
        vm: vm === undefined ? null : vmView(services, vm),
      });
    } finally {
      attachments.watcherLeft(id);
    }
  }
}

function line(event: OperationEvent): string {
  return `${JSON.stringify(event)}\n`;
}
