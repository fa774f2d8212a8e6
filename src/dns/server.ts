import { type Socket as UdpSocket, createSocket } from 'node:dgram';
import { type Server, type Socket, createServer } from 'node:net';
import type { BangerError } from '../model/errors.ts';
import { listenFailure } from '../model/listen-failure.ts';
import { answerBytes } from './wire.ts';
import type { ZoneRecords } from './zone.ts';

export type DnsServerOptions = {
  /** An address of this host. Only loopback addresses make sense, because everyone who reaches it may ask. */
  address: string;
  /** 0 takes a free port. */
  port: number;
  log: (level: 'warn' | 'error', message: string, facts: Record<string, unknown>) => void;
};

/** The authoritative name server of `.vm`. */
export type DnsServer = {
  /** The port of the listening sockets. */
  readonly port: number;
  /** Replaces all records at once. @param records VM name → loopback address */
  setRecords(records: ZoneRecords): void;
  close(): Promise<void>;
};

const MAX_TCP_CONNECTIONS = 32;
const TCP_IDLE_MS = 5000;
/** Queries are short; a peer that sends more than this on one connection before a reply is no resolver. */
const MAX_TCP_QUERY_BYTES = 4096;
/** A client that does not read its replies is disconnected. */
const MAX_TCP_UNSENT_BYTES = 256 * 1024;

/** The first bytes of every message (RFC 1035 §4.1.1). */
const ID_BYTES = 2;
/** Replies of some 100 bytes each. Queries with cookies all differ, and would fill any memory. */
const MAX_REMEMBERED = 4096;

type Answer = (query: Buffer, transport: 'udp' | 'tcp') => Buffer | undefined;

/**
 * Listens with UDP and TCP on the same port.
 * @throws NETWORK_FAILED if the port is not available; the caller can continue without names
 */
export async function createDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  let records: ZoneRecords = new Map();
  // The serial also grows across restarts, as it must.
  let serial = Math.floor(Date.now() / 1000);
  const remembered = new Map<string, Buffer>();
  const answer: Answer = (query, transport) => {
    if (transport === 'tcp' || query.length < ID_BYTES) return answerBytes(query, records, serial, transport);
    // All but the id of a reply follows from all but the id of its query, until the records change.
    const question = query.toString('latin1', ID_BYTES);
    const known = remembered.get(question);
    if (known !== undefined) return withIdOf(query, known);
    const bytes = answerBytes(query, records, serial, transport);
    if (bytes === undefined) return undefined;
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    remembered.set(question, Buffer.from(bytes));
    return bytes;
  };
  const tcp = createTcp(answer);
  const port = await listenTcp(tcp, options);
  let udp: UdpSocket;
  try {
    udp = await bindUdp(options.address, port, answer);
  } catch (error) {
    tcp.close();
    throw error;
  }
  tcp.on('error', (error) => options.log('error', 'dns over tcp failed', { error: error.message }));
  udp.on('error', (error) => options.log('error', 'dns over udp failed', { error: error.message }));
  return {
    port,
    setRecords: (next) => {
      records = new Map([...next].map(([name, address]) => [name.toLowerCase(), address]));
      serial++;
      remembered.clear();
    },
    close: async () => {
      await new Promise<void>((resolve) => udp.close(resolve));
      await new Promise<void>((resolve) => {
        tcp.close(() => resolve());
        tcp.emit('banger-end');
      });
    },
  };
}

function withIdOf(query: Buffer, answer: Buffer): Buffer {
  const bytes = Buffer.from(answer);
  query.copy(bytes, 0, 0, ID_BYTES);
  return bytes;
}

function portError(error: NodeJS.ErrnoException, address: string, port: number): BangerError {
  return listenFailure(error, { what: 'the name server', key: 'dns.port', address, port });
}

function listenTcp(server: Server, { address, port }: DnsServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(portError(error, address, port));
    server.once('error', onError);
    server.listen(port, address, () => {
      server.removeListener('error', onError);
      const bound = server.address();
      resolve(bound !== null && typeof bound === 'object' ? bound.port : port);
    });
  });
}

function bindUdp(address: string, port: number, answer: Answer): Promise<UdpSocket> {
  // An address needs no lookup; the default lookup costs a turn of the event loop for each reply.
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
  socket.on('message', (query, peer) => {
    const bytes = answer(query, 'udp');
    // A failed send only affects the client, which asks again. Without a callback, Node does not report it.
    if (bytes !== undefined) socket.send(bytes, peer.port, peer.address);
  });
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      socket.close();
      reject(portError(error, address, port));
    };
    socket.once('error', onError);
    socket.bind(port, address, () => {
      socket.removeListener('error', onError);
      resolve(socket);
    });
  });
}

function createTcp(answer: Answer): Server {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    // A connection without a question gives way to a new one: all users of the host may connect.
    const [oldest] = open;
    if (oldest !== undefined && open.size >= MAX_TCP_CONNECTIONS) {
      oldest.destroy();
      open.delete(oldest);
    }
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    serveTcp(socket, answer);
  });
  server.on('banger-end', () => {
    for (const socket of open) socket.destroy();
  });
  return server;
}

/** Messages have two bytes of length in front (RFC 1035 §4.2.2) and may follow each other. */
function serveTcp(socket: Socket, answer: Answer): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 2) {
      const length = pending.readUInt16BE(0);
      if (length > MAX_TCP_QUERY_BYTES) return void socket.destroy();
      if (pending.length < 2 + length) return;
      const bytes = answer(pending.subarray(2, 2 + length), 'tcp');
      pending = pending.subarray(2 + length);
      if (bytes === undefined) return void socket.destroy();
      const prefix = Buffer.alloc(2);
      prefix.writeUInt16BE(bytes.length);
      socket.write(Buffer.concat([prefix, bytes]));
      if (socket.writableLength > MAX_TCP_UNSENT_BYTES) return void socket.destroy();
    }
  });
}
