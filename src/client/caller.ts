// The user of the client: the command line, or another program. All that the client knows of it is here.
import { homedir } from 'node:os';
import { type Directories, resolveDirectories } from '../lib/directories.ts';
import { PlaceProblem } from '../lib/own-place.ts';
import { BangerError } from '../model/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export type Caller = {
  /** Passed on to programs that the client starts. */
  env: Environment;
  /** Where banger keeps its files. @throws CONFIG_INVALID if a variable is wrong */
  directories(): Directories;
  /** Absolute path of the running program; the client finds the daemon and the copy program from there. */
  programPath: string;
  /** Prints a line for people about progress; errors are thrown instead. */
  note(line: string): void;
};

/** @throws CONFIG_INVALID if a variable is wrong */
export function directoriesOf(env: Environment): Directories {
  try {
    return resolveDirectories(env, env['HOME'] ?? homedir(), process.getuid?.() ?? 0);
  } catch (error) {
    if (error instanceof PlaceProblem) throw new BangerError('CONFIG_INVALID', error.message, { remedy: error.remedy });
    throw error;
  }
}
