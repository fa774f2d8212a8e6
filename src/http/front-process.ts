// The process of the HTTP front: gets listening sockets from the daemon and serves their connections. It has an event loop of its own, so
// that clients and guests cannot slow down the daemon. It ends with the daemon.
import { Server, type Socket } from 'node:net';
import { type ConnectionEnds, peerUid } from '../host/peer-uid.ts';
import type { FromFront, Standing, Table, ToFront } from './messages.ts';
import { serveConnection } from './serve.ts';

const MAX_CONNECTIONS = 4096;
const MAX_QUESTIONS = 256;
/** Sent at the start (network.share): whether every user of this host is let in. */
const forEveryone = process.argv[3] === 'everyone';

let table: Table = { names: new Map(), ports: new Map() };
let questions = 0;
const open = new Set<Socket>();
/** Connections of other users' processes, and of sockets that no process holds any more. */
const held = new Map<number | undefined, number>();
const servers = new Map<string, Server>();
const answers = new Map<number, (standing: Standing) => void>();

function ask(name: string, wake: boolean): Promise<Standing> {
  if (answers.size >= MAX_QUESTIONS) return Promise.resolve('stopped');
  const message: FromFront = { type: 'ask', id: questions++, name, wake };
  return new Promise((resolve) => {
    answers.set(message.id, resolve);
    process.send?.(message);
  });
}

function accept(socket: Socket): void {
  if (open.size >= MAX_CONNECTIONS || !isLoopback(socket.remoteAddress ?? '')) return void socket.destroy();
  // A request may end before its reply comes.
  socket.allowHalfOpen = true;
  open.add(socket);
  socket.on('error', () => socket.destroy()).once('close', () => open.delete(socket));
  void admit(socket);
}

async function admit(socket: Socket): Promise<void> {
  if (!(await isAllowed(socket))) return void socket.resetAndDestroy();
  await serveConnection(socket, {
    get table() {
      return table;
    },
    ask,
  });
}

/** No other host can connect from these addresses. The check covers a front that is bound elsewhere. */
const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';

/**
 * All users share loopback, and a server in a guest trusts that its owner calls. If all users are let in, a user may have one more
 * connection as long as they have fewer than are left.
 */
async function isAllowed(socket: Socket): Promise<boolean> {
  const uid = await peerUid(socket as ConnectionEnds).catch(() => undefined);
  if (uid === 0 || uid === process.getuid?.()) return true;
  const own = held.get(uid) ?? 0;
  if (!forEveryone || socket.destroyed || own >= MAX_CONNECTIONS - open.size) return false;
  held.set(uid, own + 1);
  socket.once('close', () => held.set(uid, (held.get(uid) ?? 1) - 1));
  return true;
}

function onMessage(message: ToFront, handle: Socket | Server | undefined): void {
  if (message.type === 'table') table = { names: new Map(message.table.names), ports: new Map(message.table.ports) };
  else if (message.type === 'answer') {
    answers.get(message.id)?.(message.standing);
    answers.delete(message.id);
  } else if (message.type === 'close') {
    servers.get(message.address)?.close();
    servers.delete(message.address);
  } else if (handle instanceof Server && message.type === 'listen') {
    servers.set(
      message.address,
      handle.on('connection', accept).on('error', () => undefined),
    );
  } else if (handle !== undefined && !(handle instanceof Server)) accept(handle);
}

process.on('message', onMessage);
process.on('disconnect', () => process.exit(0));
if (process.send === undefined) process.exit(0);
