import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Caller } from './caller.ts';
import { type Contexts, contextsPath, readContexts } from './endpoint.ts';

/** @returns the contexts of this user. @throws CONFIG_INVALID */
export function loadContexts({ directories }: Pick<Caller, 'directories'>): Contexts {
  return readContexts(contextsPath(directories().configPath));
}

/** Replaces the contexts of this user atomically. */
export async function saveContexts({ directories }: Pick<Caller, 'directories'>, contexts: Contexts): Promise<void> {
  const path = contextsPath(directories().configPath);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}.partial`;
  await writeFile(partial, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
  await rename(partial, path);
}
