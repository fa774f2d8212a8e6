import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { listenInStead, type StandIn } from './stand-in.ts';

const ADDRESS = '127.213.255.77';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, ADDRESS);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

async function bench(t: TestContext): Promise<{ port: number; standIn: StandIn; called: Promise<void> }> {
  const port = await freePort();
  const { promise: called, resolve } = Promise.withResolvers<void>();
  const standIn = await listenInStead([{ address: ADDRESS, port }], { isForEveryone: false, onCall: resolve });
  t.after(async () => (await standIn.close(), standIn.refuse()));
  return { port, standIn, called };
}

/** Answers with what it got, once the caller has sent all of it. */
async function echo(t: TestContext, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    let count = 0;
    socket.on('data', (chunk) => void (count += chunk.length));
    socket.once('end', () => socket.end(`got ${count}`));
  });
  server.listen(port, ADDRESS);
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

test('who calls waits, and everything that was sent arrives once the guest listens, from either end to the last byte (10.6)', async (t) => {
  const { port, standIn, called } = await bench(t);
  assert.deepEqual(standIn.problems, []);
  const sockets = [connect({ host: ADDRESS, port, allowHalfOpen: true }), connect({ host: ADDRESS, port, allowHalfOpen: true })];
  const size = 3_000_000;
  for (const socket of sockets) socket.end(Buffer.alloc(size, 'a'));
  await called;
  await standIn.close();
  await echo(t, port);
  standIn.letThrough();
  for (const socket of sockets) assert.equal(await text(socket), `got ${size}`);
});

test('others can listen as soon as it is closed, and who waits is broken off when refused (10.6)', async (t) => {
  const { port, standIn, called } = await bench(t);
  const socket = connect(port, ADDRESS);
  await called;
  const broken = once(socket, 'error');
  standIn.refuse();
  assert.equal(((await broken)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
  await standIn.close();
  await echo(t, port);
});

test('who is let through to nobody is broken off (10.6)', async (t) => {
  const { port, standIn, called } = await bench(t);
  const socket = connect(port, ADDRESS);
  const broken = once(socket, 'error');
  await called;
  await standIn.close();
  standIn.letThrough();
  assert.equal(((await broken)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
});

test('a place that is taken is told, and the others are listened on (10.6)', async (t) => {
  const [taken, free] = [await freePort(), await freePort()];
  await echo(t, taken);
  const standIn = await listenInStead(
    [taken, free].map((port) => ({ address: ADDRESS, port })),
    { isForEveryone: true, onCall: () => undefined },
  );
  t.after(() => standIn.close());
  assert.match(standIn.problems.join(), new RegExp(`^${ADDRESS}:${taken} .*EADDRINUSE`));
  const socket = connect(free, ADDRESS);
  await once(socket, 'connect');
  socket.destroy();
});
