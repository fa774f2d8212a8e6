// Bare QEMU with exactly the machine that banger starts: argv is read from a running VM and pointed at copies of its files.
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { waitForExec } from './agent-exec.ts';
import { withProgram } from './timed.ts';

/** Where the VM that was copied keeps its disks and its sockets. */
export type Original = { argv: readonly string[]; diskDirectory: string; socketDirectory: string };

/** @returns argv of a running process. */
export function argvOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
}

/** @returns the directory of the agent's sockets, as the VMM was told. @throws Error when argv names none */
export function socketDirectoryOf(argv: readonly string[]): string {
  const path = argv.map((word) => /path=([^,]*agent-0\.sock)/.exec(word)?.[1]).find((found) => found !== undefined);
  if (path === undefined) throw new Error('the VMM was started without an agent socket');
  return dirname(path);
}

/**
 * @param directory holds copies of the disks, and will hold the sockets
 * @returns argv of the same machine: it starts by itself, waits for no manager, and its network is QEMU's own
 */
export function bareArguments(original: Original, directory: string): string[] {
  const moved = original.argv
    .filter((word) => word !== '-S')
    .map((word) => word.replaceAll(original.diskDirectory, directory).replaceAll(original.socketDirectory, directory));
  return moved.map((word, at) => {
    if (moved[at - 1] === '-append') return `${word} banger.wait=0`;
    if (moved[at - 1] === '-netdev') return `user,id=${/\bid=([^,]+)/.exec(word)?.[1] ?? 'net0'}`;
    return word;
  });
}

/**
 * Starts bare QEMU on fresh copies of the disks.
 * @param pristine directory of disks that no VM has booted from
 * @returns milliseconds from the start to the end of the first command; copying is not counted
 */
export async function measureBareBoot(original: Original, pristine: string, scratch: string, env: Record<string, string>): Promise<number> {
  const directory = join(scratch, 'bare');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  cpSync(pristine, directory, { recursive: true });
  const begin = performance.now();
  return withProgram(bareArguments(original, directory), env, async () => {
    await waitForExec(join(directory, 'agent-0.sock'), 120_000);
    return performance.now() - begin;
  });
}
