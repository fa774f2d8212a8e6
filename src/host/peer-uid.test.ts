import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { type ConnectionEnds, parsePeerUid, peerUid } from './peer-uid.ts';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0200D57F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0000000000000000 100 0 0 10 0
   1: 0100007F:9C40 0200D57F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 12 1 0000000000000000 20 4 30 10 -1
   2: 0200D57F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:9C41 0200D57F:1F90 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0000000000000000
   4: 0100007F:9C42 0200D57F:1F90 04 00000000:00000000 01:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1
`;
const ends = (remotePort: number): ConnectionEnds => ({
  ...{ localAddress: '127.213.0.2', localPort: 8080 },
  ...{ remoteAddress: '127.0.0.1', remotePort },
});

test('the other end of a connection is distinguished from this one, and one that no process holds belongs to nobody (12.8)', () => {
  assert.equal(parsePeerUid(TABLE, ends(40_000)), 1001);
  assert.equal(parsePeerUid(TABLE, ends(40_001)), undefined, 'TIME_WAIT is printed as root’s');
  assert.equal(parsePeerUid(TABLE, ends(40_002)), undefined, 'so is what was closed with bytes under way');
  assert.equal(parsePeerUid(TABLE, ends(40_003)), undefined);
});

test('a program that called IPv4 from an IPv6 socket is found in the other list (12.8)', () => {
  const mapped = TABLE.replaceAll(/ ([0-9A-F]{8}):/g, ' 0000000000000000FFFF0000$1:');
  assert.equal(parsePeerUid(mapped, ends(40_000)), 1001);
});

test('it works over IPv6, too (12.8)', async (t) => {
  const server = createServer().listen(0, '::1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '::1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  assert.equal(await peerUid(accepted as ConnectionEnds), process.getuid?.());
  client.destroy();
  accepted.destroy();
});

test('real connections, many at once, are this process’s (12.8)', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted: Socket[] = [];
  const all = new Promise<void>((resolve) => server.on('connection', (socket) => accepted.push(socket) === 20 && resolve()));
  const hosts = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? '127.0.0.1' : '::ffff:127.0.0.1'));
  const clients = hosts.map((host) => connect(port, host));
  await all;
  const uids = await Promise.all(accepted.map((socket) => peerUid(socket as ConnectionEnds)));
  assert.deepEqual(new Set(uids), new Set([process.getuid?.()]));
  for (const socket of [...clients, ...accepted]) socket.destroy();
  server.close();
});
