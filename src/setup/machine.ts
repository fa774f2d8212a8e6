// The machine that setup changes. All paths are below `root`, so that tests can pass a directory of their own.
import { lstat, mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exists, readIfThere, writeFileAtomic } from '../host/files.ts';
import { CommandFailure, type CommandOutcome, run } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';

export type SetupMachine = ReturnType<typeof setupMachine>;

/** @param execute runs a command; tests replace the real one */
export function setupMachine(root = '', execute: (argv: readonly string[]) => Promise<Pick<CommandOutcome, 'stdout'>> = run) {
  const at = (path: string): string => join(root, path);
  const succeeds = async (argv: readonly string[]): Promise<boolean> => {
    try {
      await execute(argv);
      return true;
    } catch (error) {
      if (error instanceof CommandFailure) return false;
      throw error;
    }
  };
  return {
    /** sd_booted(3) */
    hasSystemd: () => exists(at('/run/systemd/system')),
    read: (path: string) => readIfThere(at(path)),
    exists: (path: string) => exists(at(path)),
    /** @returns the content of a directory; nothing if there is none */
    names: (path: string): Promise<string[]> => readdir(at(path)).catch(() => []),
    succeeds,
    /** @throws COMMAND_FAILED */
    async must(argv: readonly string[]): Promise<string> {
      try {
        return (await execute(argv)).stdout;
      } catch (error) {
        if (!(error instanceof CommandFailure)) throw error;
        throw new BangerError('COMMAND_FAILED', error.message, { remedy: argv.join(' '), cause: error });
      }
    },
    /** @returns whether the file has exactly this content, belongs to this user, and nobody else may write it */
    async holds(path: string, content: Uint8Array, mode: number): Promise<boolean> {
      if (!(await exists(at(path)))) return false;
      const { mode: present, uid } = await lstat(at(path));
      return (present & 0o7777) === mode && uid === process.getuid?.() && Buffer.compare(await readFile(at(path)), content) === 0;
    },
    async write(path: string, content: string | Uint8Array, mode: number): Promise<void> {
      await mkdir(dirname(at(path)), { recursive: true, mode: 0o755 });
      await refuseWritable(dirname(at(path)));
      await writeFileAtomic(at(path), content, mode);
    },
    remove: (path: string) => rm(at(path), { recursive: true, force: true }),
    /** A directory that contains other files stays. */
    removeEmpty: (path: string) => rmdir(at(path)).catch(() => undefined),
  };
}

/** Anyone who can write the directory of a program can replace the program. */
async function refuseWritable(directory: string): Promise<void> {
  const { mode, uid } = await lstat(directory);
  if ((mode & 0o022) === 0 && uid === process.getuid?.()) return;
  throw new BangerError('NOT_PERMITTED', `${directory} is writable for users other than root`, {
    remedy: `sudo chown root:root ${directory} && sudo chmod go-w ${directory}`,
  });
}
