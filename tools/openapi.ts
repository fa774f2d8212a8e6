// Writes docs/openapi.json from the declarations of the routes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeApi } from '../src/api/openapi.ts';
import { ROUTE_GROUPS } from '../src/api/routes.ts';

export const OPENAPI_PATH = join(import.meta.dirname, '..', 'docs', 'openapi.json');

/** @returns the text of docs/openapi.json as it must be */
export function openapiText(): string {
  return `${JSON.stringify(describeApi(ROUTE_GROUPS, '1'), null, 1)}\n`;
}

if (import.meta.main) writeFileSync(OPENAPI_PATH, openapiText());
