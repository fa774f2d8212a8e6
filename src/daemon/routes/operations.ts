import { OPERATION_ROUTES } from '../../api/routes/daemon.ts';
import type { OperationEvent } from '../../api/schemas.ts';
import type { Attachments } from '../attachments.ts';
import { createFollowers, MOST_EVENT_FOLLOWERS } from '../followers.ts';
import { served, type ServedRoutes } from '../handlers.ts';
import type { DaemonServices } from '../services.ts';
import { operationView, vmView } from '../views.ts';

/** Operations: running and ended ones, and their events from the first on. */
export function operationHandlers(services: DaemonServices, attachments: Attachments): ServedRoutes {
  const { operations } = services;
  const follows = createFollowers(MOST_EVENT_FOLLOWERS, 'operations');
  return served(OPERATION_ROUTES, {
    'GET /v1/operations': () => operations.list().map(operationView),
    'GET /v1/operations/:id': ({ params }) => operationView(operations.get(params.id)),
    'GET /v1/operations/:id/events': ({ params }, client) => {
      const { id, vmName } = operations.get(params.id);
      follows(client, vmName);
      return watched(attachments, id, events(services, id, client.signal));
    },
    'DELETE /v1/operations/:id': ({ params }) => {
      const record = operations.get(params.id);
      operations.cancel(record.id);
      return operationView(record);
    },
  });
}

async function* watched<T>(attachments: Attachments, id: string, all: AsyncIterable<T>): AsyncGenerator<T> {
  attachments.watcherCame(id);
  try {
    yield* all;
  } finally {
    attachments.watcherLeft(id);
  }
}

async function* events(services: DaemonServices, id: string, signal: AbortSignal): AsyncGenerator<OperationEvent> {
  let last = { seq: -1, atMs: 0 };
  for await (const event of services.operations.watch(id, signal)) {
    last = event;
    yield event;
  }
  if (signal.aborted) return;
  const ended = await services.operations.settled(id);
  const vm = ended.vmId === null ? undefined : services.vms.records.find(ended.vmId);
  yield {
    type: 'end',
    seq: last.seq + 1,
    atMs: last.atMs,
    state: ended.state === 'running' ? 'failed' : ended.state,
    error: ended.error,
    vm: vm === undefined ? null : vmView(services, vm),
  };
}
