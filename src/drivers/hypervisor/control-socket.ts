import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../../model/errors.ts';

export type ControlSocketOptions = {
  signal?: AbortSignal;
  /** If given, a missing socket is tried again as long as this returns true. */
  retryWhile?: () => boolean;
};

type Control = ControlSocketOptions & {
  connect(path: string): Socket;
  /** The name for people, such as "the API socket of Firecracker". */
  what: string;
  retryMs: number;
  /** A time of performance.now(), after which there are no more attempts. */
  deadline: number;
};

/** Connects to the socket of a VMM, which appears a while after the VMM's start. @throws VMM_FAILED */
export async function openControlSocket(path: string, { connect, what, retryMs, deadline, signal, retryWhile }: Control): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
    });
    if (failure === undefined) return socket;
    if (retryWhile?.() !== true || signal?.aborted === true || performance.now() >= deadline) {
      throw new BangerError('VMM_FAILED', `${what} cannot be reached (${failure.code ?? 'unknown'})`, {
        details: { path, errno: failure.code },
      });
    }
    await sleep(retryMs);
  }
}
