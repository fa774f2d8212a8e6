// The smallest client of docs/agent-protocol.md: enough to see that a bare VMM has booted to where banger's first exec succeeds.
import { type Socket, connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const SYNC = 'BANGER-SYNC 0123456789abcdef\n';
const BODY = JSON.stringify({ argv: ['true'] });
const REQUEST = `POST /exec HTTP/1.1\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const FRAME_EXIT = 5;
const FRAME_CLOSE = Buffer.from([6, 0, 0, 0]);

/** Waits until a command runs in the guest behind this agent socket. @throws Error after `timeoutMs` */
export async function waitForExec(socketPath: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const socket = await connectWhenThere(socketPath, deadline);
  const timer = setTimeout(() => socket.destroy(new Error(`no command ran within ${timeoutMs} ms`)), deadline - performance.now());
  try {
    const reader = createReader(socket);
    socket.write(SYNC);
    await reader.until((data) => (data.includes(SYNC) ? data.indexOf(SYNC) + SYNC.length : 0));
    while (!(await tryExec(socket, reader))) await sleep(20);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

type Reader = { until(lengthOf: (data: Buffer) => number): Promise<Buffer> };

/** Collects what arrives; `until` waits till `lengthOf` is not 0, then takes that many bytes off the front. */
function createReader(socket: Socket): Reader {
  let data = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    data = Buffer.concat([data, chunk]);
    socket.emit('more');
  });
  return {
    until: async (lengthOf) => {
      while (lengthOf(data) === 0) await once(socket, 'more');
      const taken = data.subarray(0, lengthOf(data));
      data = data.subarray(taken.length);
      return taken;
    },
  };
}

/** @returns false while the guest is in its initramfs (503). */
async function tryExec(socket: Socket, reader: Reader): Promise<boolean> {
  socket.write(REQUEST);
  const head = (await reader.until((data) => (data.includes('\r\n\r\n') ? data.indexOf('\r\n\r\n') + 4 : 0))).toString('latin1');
  const status = Number(head.split(' ')[1]);
  if (status !== 101) {
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (length > 0) await reader.until((data) => (data.length >= length ? length : 0));
    if (status === 503) return false;
    throw new Error(`the agent answered ${head.split('\r\n')[0]}`);
  }
  for (;;) {
    const frame = await reader.until((data) =>
      data.length >= 4 && data.length >= 4 + data.readUInt16BE(2) ? 4 + data.readUInt16BE(2) : 0,
    );
    if (frame[0] !== FRAME_EXIT) continue;
    socket.write(FRAME_CLOSE);
    if (frame.readInt32BE(4) !== 0) throw new Error(`true ended with ${frame.readInt32BE(4)}`);
    return true;
  }
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
