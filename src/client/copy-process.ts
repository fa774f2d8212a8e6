// The host's end of a copy: a C program, because Node has no openat(2), no holes and no extended attributes.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PipedProcess } from '../host/spawn.ts';
import { spawnPiped } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import type { Caller } from './caller.ts';

export type CopyProcess = PipedProcess;

/** @returns the path of the program, checked before the guest is involved. @throws PREREQUISITE_MISSING if it is missing */
export function findCopyProgram({ programPath }: Pick<Caller, 'programPath'>): string {
  const directory = dirname(programPath);
  // Beside the programs, or as the launchers see it.
  const places = [join(directory, 'banger-copy'), join(dirname(directory), 'dist/banger-copy')];
  const path = places.find((place) => existsSync(place));
  if (path === undefined) throw missing(places[0] ?? '', 'it is missing');
  return path;
}

/** Starts the program. @param words its arguments */
export function startCopyProcess(path: string, { env }: Pick<Caller, 'env'>, words: readonly string[]): CopyProcess {
  return spawnPiped([path, ...words], env);
}

/** @returns the error for a program that did not start */
export function missing(path: string, why: string): BangerError {
  return new BangerError('PREREQUISITE_MISSING', `the program that copies files on this host cannot run: ${why}`, {
    remedy: 'in a checkout: make build; otherwise reinstall banger',
    details: { path },
  });
}

/** @returns the error for a program that ended without an error message: a signal ended it, or it crashed */
export function endedSilently(ending: { exitCode: number | null; signal: NodeJS.Signals | null }, said: string): BangerError {
  const how = ending.signal === null ? `with status ${ending.exitCode}` : `by ${ending.signal}`;
  return new BangerError('INTERRUPTED', `the program that copies files on this host died ${how}${said === '' ? '' : `: ${said}`}`, {
    remedy: 'copy again; after SIGKILL, this host may be short of memory',
    details: ending,
  });
}
