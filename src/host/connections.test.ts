import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { connectedAddresses, listenedByOthers, parseConnections, parseListeners } from './connections.ts';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0200D57F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:C350 0300D57F:0050 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0400D57F:0016 0100007F:C351 06 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
`;

test('both ends of present and recent connections are read; listeners are not (3.9)', () => {
  assert.deepEqual([...parseConnections(TABLE)].toSorted(), ['127.0.0.1', '127.213.0.3', '127.213.0.4']);
  assert.deepEqual([...parseConnections('')], []);
});

test("addresses on which other users listen are distinguished from this user's own (12.8)", () => {
  assert.deepEqual([...parseListeners(TABLE, 1000)], ['127.213.0.2']);
  assert.deepEqual([...parseListeners(TABLE, 0)], []);
  assert.ok(!listenedByOthers().has('127.213.250.9'));
});

test('a connection to a loopback address is seen as long as it is open (3.9)', async (t) => {
  const server = createServer().listen(0, '127.213.250.9');
  t.after(() => server.close());
  await once(server, 'listening');
  assert.ok(!(await connectedAddresses()).has('127.213.250.9'));
  const client = connect((server.address() as { port: number }).port, '127.213.250.9');
  const [peer] = (await once(server, 'connection')) as [typeof client];
  assert.ok((await connectedAddresses()).has('127.213.250.9'));
  // A reset leaves nothing behind, as TIME_WAIT would for a minute.
  const closed = new Promise((resolve) => client.on('error', () => undefined).once('close', resolve));
  peer.resetAndDestroy();
  await closed;
  assert.ok(!(await connectedAddresses()).has('127.213.250.9'));
});
