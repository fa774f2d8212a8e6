// The user's terminal during a session in a guest: its keys, its size and the signals that we get.
import { constants } from 'node:os';
import type { GuestSession } from '../client/exec-session.ts';
import type { Cli } from './cli.ts';
import type { Input, Output } from './streams.ts';

/** @returns rows and columns; what starts a program on a terminal often forgets to say how large that is (0 × 0) */
export function windowOf({ rows = 0, columns = 0 }: Output): [rows: number, columns: number] {
  return [rows > 0 ? rows : 24, columns > 0 ? columns : 80];
}

/** @returns what a terminal must be told to be that has no size at all: programs in the guest would draw on none, and ssh passes it on */
export function missingWindow({ stdin, stdout }: Cli): [rows: number, columns: number] | undefined {
  const isUnsized = stdout.isTTY === true && (stdout.rows === 0 || stdout.columns === 0);
  return stdin.isTTY === true && isUnsized ? windowOf(stdout) : undefined;
}

/**
 * Gives the terminal's keys to the guest (raw mode) and tells it when the window changes.
 * @returns what puts the terminal back
 */
export function takeTerminal(input: Input, output: Output, session: GuestSession): () => void {
  const onResize = (): void => session.sendWindow(...windowOf(output));
  input.setRawMode?.(true);
  output.on('resize', onResize);
  const restore = (): void => {
    output.off('resize', onResize);
    process.off('exit', restore);
    input.setRawMode?.(false);
  };
  // Whatever ends us, the user's shell must get its terminal back.
  process.on('exit', restore);
  return restore;
}

/** @returns what tells people that a session begins only when another one of the VM ends */
export function tellWait(cli: Cli, name: string): (sessions: number) => void {
  return (sessions) => cli.note(`banger: ${name} has ${sessions} sessions open, which is as many as it can have: waiting for one to end`);
}

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const;
/** After so many the user wants out, whatever the guest thinks. */
const PATIENCE = 3;

/**
 * Sends the signals that we get to the command in the guest; the third leaves. When our terminal goes away the session ends: nobody could
 * ever come back to it.
 * @returns what stops that
 */
export function forwardSignals(cli: Cli, session: GuestSession): () => void {
  let count = 0;
  const listeners = FORWARDED.map((name) => {
    const listener = (): void => {
      count++;
      if (count >= PATIENCE) {
        cli.note('banger: left; the command may still run in the guest');
        process.exit(128 + constants.signals[name]);
      }
      session.sendSignal(constants.signals[name]);
    };
    process.on(name, listener);
    return () => process.off(name, listener);
  });
  const onHangUp = (): void => {
    session.close();
    process.exit(128 + constants.signals.SIGHUP);
  };
  process.on('SIGHUP', onHangUp);
  return () => {
    process.off('SIGHUP', onHangUp);
    for (const stop of listeners) stop();
  };
}
