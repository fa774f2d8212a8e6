// Finds out whether a port speaks HTTP, HTTPS or neither. The other side is a guest: its answer is examined, never kept.
import { type Socket, connect } from 'node:net';

export type Scheme = 'http' | 'https';
/** null: another protocol; undefined: no answer. */
export type Probed = Scheme | null | undefined;

/** A TLS server answers within this time. Servers that wait for a line, such as HTTP servers, then get a plain request. */
const TLS_MS = 700;
const ANSWER_MS = 1500;
const PREFIX = 'HTTP/';

/**
 * Tries TLS first, then plain HTTP, each with a HEAD request.
 * @param host for the Host header and the server's choice of certificate, which is not verified
 */
export async function probeScheme(address: string, port: number, host: string): Promise<Probed> {
  const tls = await handshake(address, port, host);
  if (tls !== undefined) {
    if (tls.alpnProtocol === 'h2') return destroyed(tls, 'https');
    return schemeOf('https', await answersHttp(tls, host));
  }
  return schemeOf('http', await answersHttp(connect({ host: address, port }), host));
}

function schemeOf(scheme: Scheme, isSpoken: boolean | undefined): Probed {
  if (isSpoken === undefined) return undefined;
  return isSpoken ? scheme : null;
}

/** @returns a connection that speaks TLS, undefined if it does not */
async function handshake(
  address: string,
  port: number,
  host: string,
): Promise<(Socket & { alpnProtocol: string | false | null }) | undefined> {
  // Some MiB that a daemon does not need before its first probe.
  const { connect: connectTls } = await import('node:tls');
  return new Promise((resolve) => {
    // Certificates inside a development machine are seldom valid; nothing secret is sent.
    const socket = connectTls({ host: address, port, servername: host, rejectUnauthorized: false, ALPNProtocols: ['http/1.1', 'h2'] });
    const timer = setTimeout(() => resolve(destroyed(socket, undefined)), TLS_MS);
    // Stays for the socket's life: the other side may reset it at any time.
    socket.on('error', () => {
      clearTimeout(timer);
      resolve(destroyed(socket, undefined));
    });
    socket.once('close', () => resolve(undefined));
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** @returns whether the reply to a HEAD request begins as HTTP; undefined if there was none */
function answersHttp(socket: Socket, host: string): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    let said = '';
    const end = (answer: boolean | undefined): void => {
      clearTimeout(timer);
      resolve(answer);
      socket.destroy();
    };
    // A server that closes without a reply may be too busy.
    const giveUp = (): void => end(said === '' ? undefined : false);
    const timer = setTimeout(giveUp, ANSWER_MS);
    socket.on('error', giveUp);
    socket.once('close', giveUp);
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1', 0, PREFIX.length);
      if (!PREFIX.startsWith(said.slice(0, PREFIX.length))) end(false);
      else if (said.length >= PREFIX.length) end(true);
    });
    socket.write(`HEAD / HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: banger\r\nConnection: close\r\n\r\n`);
  });
}

function destroyed<T>(socket: Socket, value: T): T {
  socket.destroy();
  return value;
}

const MAX_AT_ONCE = 16;
const MAX_KNOWN = 4096;
/** How soon a port without an answer is probed again. */
const ASK_AGAIN_MS = 10_000;

export type SchemeQuestion = {
  address: string;
  port: number;
  host: string;
  /** Changes if another program listens there. */
  listener: string;
};

/** What is known about ports; each is probed once for as long as the same program listens. */
export type SchemeProbe = (questions: readonly SchemeQuestion[]) => Promise<Probed[]>;

/**
 * @returns a cache that probes unknown ports; at most 16 probes run at once, half of them for one VM, and no call waits for more than that
 */
export function createSchemeProbe(): SchemeProbe {
  const known = new Map<string, { scheme: Probed; until: number }>();
  let underWay = 0;
  const underWayOf = new Map<string, number>();
  const ask = async ({ address, port, host, listener }: SchemeQuestion): Promise<Probed> => {
    const key = `${address}:${port} ${listener}`;
    const before = known.get(key);
    if (before !== undefined && before.until > performance.now()) return before.scheme;
    const own = underWayOf.get(address) ?? 0;
    if (own >= MAX_AT_ONCE - underWay) return undefined;
    underWay++;
    underWayOf.set(address, own + 1);
    try {
      const scheme = await probeScheme(address, port, host);
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(key, { scheme, until: scheme === undefined ? performance.now() + ASK_AGAIN_MS : Number.POSITIVE_INFINITY });
      return scheme;
    } finally {
      underWay--;
      const left = (underWayOf.get(address) ?? 1) - 1;
      if (left === 0) underWayOf.delete(address);
      else underWayOf.set(address, left);
    }
  };
  return (questions) => Promise.all(questions.map(ask));
}
