// Writes docs/openapi.json from the routes of the daemon.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from '../src/daemon/server.ts';
import type { DaemonServices } from '../src/daemon/services.ts';

export const OPENAPI_PATH = join(import.meta.dirname, '..', 'docs', 'openapi.json');

/** @returns the text of docs/openapi.json as it must be */
export async function openapiText(): Promise<string> {
  // Routes are described, not called.
  const server = await createServer({} as DaemonServices, { id: 'none', version: '1' });
  try {
    const { body } = await server.inject({ url: '/openapi.json' });
    return `${JSON.stringify(JSON.parse(body), null, 1)}\n`;
  } finally {
    await server.close();
  }
}

if (import.meta.main) writeFileSync(OPENAPI_PATH, await openapiText());
