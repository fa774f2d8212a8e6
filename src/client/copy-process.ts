// The host's end of a copy: a program in C, since Node reaches neither openat(2) nor holes nor attributes of files.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PipedProcess } from '../host/spawn.ts';
import { spawnPiped } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import type { Caller } from './caller.ts';

export type CopyProcess = PipedProcess;

/** @returns where the program is, before anything is asked of a guest. @throws PREREQUISITE_MISSING when it is not there */
export function findCopyProgram({ programPath }: Pick<Caller, 'programPath'>): string {
  const directory = dirname(programPath);
  // Beside the programs, or seen from the launchers.
  const places = [join(directory, 'banger-copy'), join(dirname(directory), 'dist/banger-copy')];
  const path = places.find((place) => existsSync(place));
  if (path === undefined) throw missing(places[0] ?? '', 'it is not there');
  return path;
}

/** Starts it. @param words what it is to do */
export function startCopyProcess(path: string, { env }: Pick<Caller, 'env'>, words: readonly string[]): CopyProcess {
  return spawnPiped([path, ...words], env);
}

/** @returns the error for a program that could not be started */
export function missing(path: string, why: string): BangerError {
  return new BangerError('PREREQUISITE_MISSING', `the program that copies files on this host cannot run: ${why}`, {
    remedy: 'in a checkout: make build; otherwise reinstall banger',
    details: { path },
  });
}

/** @returns the error for a program that ended without a word: something ended it from outside, or it failed in a way of its own */
export function endedSilently(ending: { exitCode: number | null; signal: NodeJS.Signals | null }, said: string): BangerError {
  const how = ending.signal === null ? `with status ${ending.exitCode}` : `by ${ending.signal}`;
  return new BangerError('INTERRUPTED', `the program that copies files on this host died ${how}${said === '' ? '' : `: ${said}`}`, {
    remedy: 'copy again; after SIGKILL, this host may be short of memory',
    details: ending,
  });
}
