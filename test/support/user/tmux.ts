// A real terminal with a real shell in it, whose screen can be read.
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Sandbox } from '../machine/sandbox.ts';

const run = promisify(execFile);
const PATIENCE_MS = 600_000;
const LOOK_EVERY_MS = 200;

export type TmuxShell = {
  /** Types a line and Enter. */
  say(line: string): Promise<void>;
  /** Clears the screen; the next line begins at the top. */
  clear(): Promise<void>;
  /** Waits for a state of the screen. @returns its lines without blank ones at the end */
  waitFor(what: string, isThere: (lines: readonly string[]) => boolean): Promise<string[]>;
  close(): Promise<void>;
};

/**
 * Starts `bash` for the sandbox's user in a separate tmux.
 * @param rcFile the shell's startup file
 */
export async function openTmuxShell(sandbox: Sandbox, rcFile: string, size: { columns: number; rows: number }): Promise<TmuxShell> {
  const socket = `${sandbox.directory}/home/tmux`;
  const env = { ...sandbox.env, TERM: 'xterm' };
  const tmux = async (...args: string[]): Promise<string> =>
    (await run('tmux', ['-S', socket, '-f', '/dev/null', ...args], { env })).stdout;
  const shell = sandbox.argv(['bash', '--noprofile', '--rcfile', rcFile, '-i']).map(quoted).join(' ');
  await tmux('new-session', '-d', '-x', String(size.columns), '-y', String(size.rows), shell);
  await tmux('set-option', '-g', 'status', 'off');
  const screen = async (): Promise<string[]> => (await tmux('capture-pane', '-p')).trimEnd().split('\n');
  return {
    say: async (line) => {
      if (line !== '') await tmux('send-keys', '-l', '--', line);
      await tmux('send-keys', 'Enter');
    },
    clear: async () => void (await tmux('send-keys', 'C-l')),
    async waitFor(what, isThere) {
      const deadline = performance.now() + PATIENCE_MS;
      for (;;) {
        const lines = await screen();
        if (isThere(lines)) return lines;
        if (performance.now() > deadline) throw new Error(`${what} did not come:\n${lines.join('\n')}`);
        await sleep(LOOK_EVERY_MS);
      }
    },
    close: async () => {
      await tmux('kill-server').catch(() => undefined);
    },
  };
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
