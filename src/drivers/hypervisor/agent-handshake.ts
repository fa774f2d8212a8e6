// The beginning of every channel to the guest agent: one line to the VMM or the agent, and its reply.
import type { Socket } from 'node:net';
import { given } from '../../lib/given.ts';
import { BangerError } from '../../model/errors.ts';

export type Handshake = {
  /** Sent in one write. */
  line: string;
  /** Gets each piece of the reply. @returns whether the reply is right; undefined to read on */
  judge: (chunk: Buffer) => boolean | undefined;
  signal: AbortSignal;
};

/** @returns the paused socket after the right reply; undefined, with the socket destroyed, after anything else */
export function shakeHands(socket: Socket, { line, judge, signal }: Handshake): Promise<Socket | undefined> {
  // Every later failure shows as `close`; without a listener, an error would end the daemon.
  socket.on('error', () => undefined);
  socket.write(line);
  return new Promise((resolve) => {
    const settle = (isRight: boolean): void => {
      socket.pause();
      socket.off('data', onData);
      socket.off('close', onClose);
      signal.removeEventListener('abort', onClose);
      if (!isRight) socket.destroy();
      resolve(isRight ? socket : undefined);
    };
    const onData = (chunk: Buffer): void => {
      const isRight = judge(chunk);
      if (isRight !== undefined) settle(isRight);
    };
    const onClose = (): void => settle(false);
    socket.on('data', onData);
    socket.once('close', onClose);
    signal.addEventListener('abort', onClose, { once: true });
    if (signal.aborted) settle(false);
  });
}

export function unreachable(reason: string, cause?: unknown): BangerError {
  return new BangerError('AGENT_UNREACHABLE', `the guest agent cannot be reached: ${reason}`, {
    remedy: 'banger vm logs NAME --serial',
    ...given({ cause }),
  });
}
