import { chmod } from 'node:fs/promises';
import { type Socket, createServer } from 'node:net';
import type { LastWord } from './vmm-process.ts';

/** One guest needs one connection; a hostile one gets no more than these. */
const MAX_CONNECTIONS = 4;
const MAX_BYTES = 16;
const LIMIT_MS = 1000;

/**
 * Listens where the VMM brings the guest's connections to banger's port (docs/agent-protocol.md). The guest waits for the
 * answer before it resets, so that its word is not lost with the VMM.
 * @param path nothing may be there
 * @returns what ends the listening and removes the socket
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
  // A VMM in a jail is another user: the directory decides who that is, and this opens the socket to whom it names.
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
