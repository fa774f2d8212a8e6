// HTTP as bytes, for requests that no client would send.
import { connect } from 'node:net';

export type RawReply = { status: number; headers: string; body: unknown; text: string };

/** Sends bytes and reads until the daemon closes the connection. */
export function sendRaw(socketPath: string, bytes: string | Buffer): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath, () => socket.write(bytes));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    // The daemon may refuse before it has read everything.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const [head = '', ...rest] = text.split('\r\n\r\n');
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
      if (!Number.isInteger(status)) return reject(new Error(`no reply but ${JSON.stringify(text.slice(0, 100))}`));
      resolve({ status, headers: head, body: parse(rest.join('\r\n\r\n')), text });
    });
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @returns a request with a body, and `Connection: close` */
export function request(method: string, path: string, body?: string, headers: Readonly<Record<string, string>> = {}): string {
  const all: Record<string, string> = { Host: 'x', Connection: 'close', ...headers };
  if (body !== undefined)
    Object.assign(all, { 'Content-Type': 'application/json', 'Content-Length': `${Buffer.byteLength(body)}`, ...headers });
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}
