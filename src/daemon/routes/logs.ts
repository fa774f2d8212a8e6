import { watch } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { resolveVm } from '../../lifecycle/vm/resolve.ts';
import { createFollowers, MOST_LOG_FOLLOWERS } from '../followers.ts';
import { clientSignal } from '../request-signal.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';

const CHUNK_BYTES = 64 * 1024;
/** A file that was replaced or cut gives no reliable event, so it is looked at this often as well. */
const LOOK_EVERY_MS = 500;

/** The raw files of a VM, whole and followed. */
export function logRoutes(server: TypedServer, services: DaemonServices): void {
  const params = z.object({ ref: z.string().max(200) });
  const querystring = z.strictObject({
    kind: z.enum(['serial', 'vmm', 'events']).default('serial'),
    follow: z.enum(['0', '1']).default('0'),
  });

  const follows = createFollowers(MOST_LOG_FOLLOWERS, 'logs');

  server.get('/v1/vms/:ref/logs', { schema: { params, querystring } }, (request, reply) => {
    const paths = services.pathsOf(resolveVm(services.vms, request.params.ref));
    const path = { serial: paths.serialLog, vmm: paths.vmmLog, events: paths.eventLog }[request.query.kind];
    if (request.query.follow === '1') follows(reply);
    const signal = clientSignal(reply);
    return reply.type('text/plain; charset=utf-8').send(Readable.from(readLog(path, request.query.follow === '1', signal)));
  });
}

/** Yields the file from its start; then, when asked, what is added, until the signal fires. No file counts as an empty one. */
async function* readLog(path: string, follow: boolean, signal: AbortSignal): AsyncGenerator<Buffer> {
  let position = 0;
  for (;;) {
    const { chunk, size } = await readFrom(path, position);
    // Rotated or begun anew.
    if (size < position) position = 0;
    else if (chunk.length > 0) {
      position += chunk.length;
      yield chunk;
    } else if (!follow || signal.aborted) return;
    else await changed(path, signal);
  }
}

async function readFrom(path: string, position: number): Promise<{ chunk: Buffer; size: number }> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    return { chunk: buffer.subarray(0, bytesRead), size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { chunk: Buffer.alloc(0), size: 0 };
    throw error;
  }
}

function changed(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      watcher?.close();
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, LOOK_EVERY_MS);
    signal.addEventListener('abort', done, { once: true });
    const watcher = tryWatch(path, done);
  });
}

function tryWatch(path: string, onChange: () => void): { close(): void } | undefined {
  try {
    return watch(path, onChange).on('error', onChange);
  } catch {
    // Not there yet: the timer looks again.
    return undefined;
  }
}
