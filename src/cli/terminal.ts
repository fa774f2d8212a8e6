// The user's terminal during a session in a guest: its keys, its size, and the signals to this process.
import { constants } from 'node:os';
import type { GuestSession } from '../client/exec-session.ts';
import type { Cli } from './cli.ts';
import type { Input, Output } from './streams.ts';

/** @returns rows and columns. Programs that open a terminal often forget to set its size (0 × 0). */
export function windowOf({ rows = 0, columns = 0 }: Output): [rows: number, columns: number] {
  return [rows > 0 ? rows : 24, columns > 0 ? columns : 80];
}

/** @returns the size to assume for a terminal without one: programs in the guest could not draw on 0 × 0, and ssh passes the size on */
export function missingWindow({ stdin, stdout }: Cli): [rows: number, columns: number] | undefined {
  const isUnsized = stdout.isTTY === true && (stdout.rows === 0 || stdout.columns === 0);
  return stdin.isTTY === true && isUnsized ? windowOf(stdout) : undefined;
}

/**
 * Passes the terminal's keys to the guest (raw mode), and reports changes of the window's size.
 * @returns a function that restores the terminal
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
  // The user's shell must get its terminal back, whatever ends this process.
  process.on('exit', restore);
  return restore;
}

/** @returns a function that tells the user that the session begins only when another session of the VM ends */
export function tellWait(cli: Cli, name: string): (sessions: number) => void {
  return (sessions) => cli.note(`banger: ${name} has ${sessions} open sessions, the most it can have: waiting for one to end`);
}

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const;
/** After so many signals the user wants to leave, whatever the guest does. */
const PATIENCE = 3;

/**
 * Passes signals on to the command in the guest; the third one leaves. If the terminal disappears, the session ends, since the user could
 * never return to it.
 * @returns a function that stops it
 */
export function forwardSignals(cli: Cli, session: GuestSession): () => void {
  let count = 0;
  const listeners = FORWARDED.map((name) => {
    const listener = (): void => {
      count++;
      if (count >= PATIENCE) {
        cli.note('banger: disconnected; the command may still run in the guest');
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
