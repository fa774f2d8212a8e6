import * as files from './files.ts';
import * as processes from './processes.ts';
import { sparseCopy } from './sparse-copy.ts';
import { run, spawnDetached } from './spawn.ts';

/** Every touch of the machine, handed to drivers as one value so that tests can hand in another. */
export const realHost = { run, spawnDetached, sparseCopy, ...processes, ...files };
export type Host = typeof realHost;
