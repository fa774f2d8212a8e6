import { stripVTControlCharacters } from 'node:util';
import { spawn } from '@lydell/node-pty';
import { paced } from '../machine/pace.ts';
import { PROGRAM, type Sandbox } from '../machine/sandbox.ts';

const PATIENCE_MS = 30_000;

/** `banger` on a terminal. */
export type Terminal = {
  /** Types the text. */
  write(text: string): void;
  resize(columns: number, rows: number): void;
  /** Does what a terminal does when its window is closed. */
  hangUp(): void;
  /** Waits until the text has been printed since the last call. @throws with all output if it does not appear */
  waitFor(text: string): Promise<void>;
  /** `output` has no colours and cursor movements. */
  ended: Promise<{ exitCode: number; output: string }>;
};

/** Starts `banger` with a terminal of the given size as its stdin, stdout and stderr. */
export function startOnTerminal(sandbox: Sandbox, args: readonly string[], size: { columns: number; rows: number }): Terminal {
  const [program = '', ...rest] = sandbox.argv([PROGRAM, ...args]);
  const pty = spawn(program, rest, { cols: size.columns, rows: size.rows, cwd: '/', env: { ...sandbox.env, TERM: 'xterm' } });
  let [raw, output, searched] = ['', '', 0];
  const watchers = new Set<() => void>();
  const wake = (): void => {
    for (const watcher of watchers) watcher();
  };
  pty.onData((text) => {
    raw += text;
    // From the whole output, because a sequence may arrive in two pieces.
    output = stripVTControlCharacters(raw);
    wake();
  });
  let isOver = false;
  const ended = new Promise<{ exitCode: number; output: string }>((resolve) => {
    pty.onExit(({ exitCode }) => {
      isOver = true;
      wake();
      resolve({ exitCode, output });
    });
  });
  return {
    write: (text) => pty.write(text),
    resize: (columns, rows) => pty.resize(columns, rows),
    hangUp: () => pty.kill('SIGHUP'),
    waitFor: (text) =>
      new Promise((resolve, reject) => {
        const settle = (error?: Error): void => {
          clearTimeout(timer);
          watchers.delete(look);
          if (error === undefined) resolve();
          else reject(error);
        };
        const fail = (): void => settle(new Error(`${JSON.stringify(text)} was not printed: ${JSON.stringify(output)}`));
        const timer = setTimeout(() => {
          pty.kill('SIGKILL');
          fail();
        }, paced(PATIENCE_MS));
        const look = (): void => {
          const at = output.indexOf(text, searched);
          if (at >= 0) {
            searched = at + text.length;
            settle();
          } else if (isOver) fail();
        };
        watchers.add(look);
        look();
      }),
    ended,
  };
}
