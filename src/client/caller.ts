// Who uses the client: the command line, or another program. All that the client knows of it is here.
import { homedir } from 'node:os';
import { type Directories, resolveDirectories } from '../lib/directories.ts';
import { PlaceProblem } from '../lib/own-place.ts';
import { BangerError } from '../model/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export type Caller = {
  /** Handed on to programs that the client starts. */
  env: Environment;
  /** Where banger keeps its things. @throws CONFIG_INVALID when a variable does not make sense */
  directories(): Directories;
  /** Absolute path of the program that runs: the daemon and the program that copies are found from there. */
  programPath: string;
  /** Takes a line for people about what happens; errors are thrown instead. */
  note(line: string): void;
};

/** @throws CONFIG_INVALID when a variable does not make sense */
export function directoriesOf(env: Environment): Directories {
  try {
    return resolveDirectories(env, env['HOME'] ?? homedir(), process.getuid?.() ?? 0);
  } catch (error) {
    if (error instanceof PlaceProblem) throw new BangerError('CONFIG_INVALID', error.message, { remedy: error.remedy });
    throw error;
  }
}
