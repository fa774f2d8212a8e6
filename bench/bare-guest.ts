// The smallest client of docs/agent-protocol.md: personalises a guest, runs `true` in it, or carries one SSH connection to it.
import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const SYNC = 'BANGER-SYNC 0123456789abcdef\n';
const [FRAME_DATA, FRAME_EOF, FRAME_EXIT, FRAME_CLOSE] = [0, 2, 5, 6];
const MAX_DATA_BYTES = 32_768;

/** The guest agent behind a socket. @throws Error from every member once `timeoutMs` of `openGuest` are over */
export type Guest = {
  personalize(body: object): Promise<void>;
  /** Waits until `true` has run. */
  runTrue(): Promise<void>;
  /** @returns the loopback port of a server that carries its first connection to the guest's sshd */
  offerSsh(): Promise<number>;
  close(): void;
};

/** Connects to the agent's socket as soon as it exists; the reply comes when the guest is up. */
export async function openGuest(socketPath: string, timeoutMs: number): Promise<Guest> {
  const deadline = performance.now() + timeoutMs;
  const socket = await connectWhenThere(socketPath, deadline);
  const timer = setTimeout(() => socket.destroy(new Error(`the guest was not done within ${timeoutMs} ms`)), deadline - performance.now());
  const reader = createReader(socket);
  let server: Server | undefined;
  socket.write(SYNC);
  await reader.until((data) => (data.includes(SYNC) ? data.indexOf(SYNC) + SYNC.length : 0));
  return {
    personalize: async (body) => {
      const status = await ask(socket, reader, 'POST /personalize', body);
      if (status !== 204) throw new Error(`the agent answered ${status} to personalize`);
    },
    runTrue: async () => {
      while (!(await tryTrue(socket, reader))) await sleep(20);
    },
    offerSsh: async () => {
      server = createServer((client) => void carry(client, socket, reader).catch(() => client.destroy())).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : 0;
    },
    close: () => {
      clearTimeout(timer);
      server?.close();
      socket.destroy();
    },
  };
}

type Reader = { until(lengthOf: (data: Buffer) => number): Promise<Buffer> };

/** Collects incoming bytes; `until` waits until `lengthOf` is not 0, then takes that many bytes off the front. */
function createReader(socket: Socket): Reader {
  let data = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    data = Buffer.concat([data, chunk]);
    socket.emit('more');
  });
  // A waiting reader gets the error through once(); no other code needs it.
  socket.on('error', () => undefined);
  return {
    until: async (lengthOf) => {
      while (lengthOf(data) === 0) {
        if (socket.destroyed) throw new Error('the agent closed the channel');
        await once(socket, 'more');
      }
      const taken = data.subarray(0, lengthOf(data));
      data = data.subarray(taken.length);
      return taken;
    },
  };
}

/** @returns the status; skips the body of a reply */
async function ask(socket: Socket, reader: Reader, request: string, body?: object): Promise<number> {
  const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body));
  socket.write(`${request} HTTP/1.1\r\n${body === undefined ? '' : `Content-Length: ${bytes.length}\r\n`}\r\n`);
  socket.write(bytes);
  const head = (await reader.until((data) => (data.includes('\r\n\r\n') ? data.indexOf('\r\n\r\n') + 4 : 0))).toString('latin1');
  const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  if (length > 0) await reader.until((data) => (data.length >= length ? length : 0));
  return Number(head.split(' ')[1]);
}

const nextFrame = (reader: Reader): Promise<Buffer> =>
  reader.until((data) => (data.length >= 4 && data.length >= 4 + data.readUInt16BE(2) ? 4 + data.readUInt16BE(2) : 0));

/** @returns false while the guest is in its initramfs (503) */
async function tryTrue(socket: Socket, reader: Reader): Promise<boolean> {
  const status = await ask(socket, reader, 'POST /exec', { argv: ['true'] });
  if (status === 503) return false;
  if (status !== 101) throw new Error(`the agent answered ${status} to exec`);
  for (;;) {
    const frame = await nextFrame(reader);
    if (frame[0] !== FRAME_EXIT) continue;
    socket.write(encodeFrame(FRAME_CLOSE));
    if (frame.readInt32BE(4) !== 0) throw new Error(`true ended with ${frame.readInt32BE(4)}`);
    return true;
  }
}

function encodeFrame(type: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from([type, 0, payload.length >> 8, payload.length & 0xff]), payload]);
}

async function carry(client: Socket, socket: Socket, reader: Reader): Promise<void> {
  client.setNoDelay(true).on('error', () => client.destroy());
  const status = await ask(socket, reader, 'CONNECT ssh');
  if (status !== 200) throw new Error(`the agent answered ${status} to CONNECT ssh`);
  client.on('data', (data: Buffer) => {
    for (let at = 0; at < data.length; at += MAX_DATA_BYTES) socket.write(encodeFrame(FRAME_DATA, data.subarray(at, at + MAX_DATA_BYTES)));
  });
  client.once('end', () => socket.write(encodeFrame(FRAME_EOF)));
  for (;;) {
    const frame = await nextFrame(reader);
    if (frame[0] === FRAME_DATA) client.write(frame.subarray(4));
    if (frame[0] === FRAME_EXIT) break;
  }
  client.end();
  socket.write(encodeFrame(FRAME_CLOSE));
}

async function connectWhenThere(path: string, deadline: number): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(2);
    }
  }
}
