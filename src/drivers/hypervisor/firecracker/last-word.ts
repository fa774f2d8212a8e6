import { chmod } from 'node:fs/promises';
import { type Socket, createServer } from 'node:net';
import type { LastWord } from './vmm-process.ts';

/** One guest needs one connection; a hostile guest gets no more than these. */
const MAX_CONNECTIONS = 4;
const MAX_BYTES = 16;
const LIMIT_MS = 1000;

/**
 * Listens on the socket to which the VMM passes the guest's connections to banger's port (docs/agent-protocol.md). The guest waits for the
 * reply before it resets, so that its message does not get lost with the VMM.
 * @param path no file may exist there
 * @returns a function that stops listening and removes the socket
 */
export async function listenForLastWord(path: string, onWord: (word: LastWord) => void): Promise<{ close(): void }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    takeWord(socket, onWord);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // A jailed VMM is another user. The directory's default access list names that user, and this mode gives the entry its rights.
  await chmod(path, 0o660);
  server.unref();
  return {
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

function takeWord(socket: Socket, onWord: (word: LastWord) => void): void {
  let text = '';
  socket.setTimeout(LIMIT_MS, () => socket.destroy());
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const word = /^(poweroff|reboot)\n$/.exec(text)?.[1];
    if (word !== undefined) {
      onWord(word as LastWord);
      socket.end('ok\n');
    } else if (text.length > MAX_BYTES) socket.destroy();
  });
}
