import { createWriteStream } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { packed } from './packed.ts';

/** What waits for the file, bytes. */
const BUFFER_BYTES = 4 * 1024 ** 2;

/** One file on its way. */
export type Reception = {
  /** Settles when the sender has closed and all of it is in the file. */
  done: Promise<void>;
  /** Ends it: a sender that has not closed sees its connection reset. */
  close(): void;
};

/** Listens at a Unix socket for one sender, whose bytes become a new packed file of mode 0600. @returns once somebody can connect */
export async function receiveFile(socketPath: string, filePath: string): Promise<Reception> {
  const arrival = Promise.withResolvers<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    server.close();
    arrival.resolve(socket);
  });
  await listening(server, socketPath);
  server.on('error', arrival.reject);
  const done = arrival.promise.then(async (socket) => {
    await pipeline(socket, packed, createWriteStream(filePath, { flags: 'wx', mode: 0o600, highWaterMark: BUFFER_BYTES }));
  });
  done.catch(() => undefined);
  return {
    done,
    close() {
      server.close();
      arrival.reject(new Error('the reception was ended'));
      void arrival.promise.then((socket) => socket.destroy()).catch(() => undefined);
    },
  };
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
