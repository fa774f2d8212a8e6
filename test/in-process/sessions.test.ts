// A session in a guest ends with the client that it was opened for, however that leaves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Duplex } from 'node:stream';
import { encodeData } from '../../src/lib/frames.ts';
import { created, daemonFor, fakeOf, until } from '../support/daemon/test-daemon.ts';

test('a client that disconnects ends its session, even if the guest does not read its input (3.13)', async (t) => {
  const { api, world } = await daemonFor(t);
  await created(api, 'web');
  const { guest } = fakeOf(world, 'web');
  // The daemon's own watch of the ports.
  const OWN = 1;
  await until(() => guest.openSessions === OWN);
  const ways: Record<string, (socket: Duplex) => Promise<void>> = {
    'it closes': (socket) => Promise.resolve(void socket.destroy()),
    'it says that it sends no more, and is gone': (socket) => Promise.resolve(void socket.end()),
    'it has filled every buffer on the way': async (socket) => {
      // The command reads nothing, so all stops at last, and the daemon reads no more.
      const piece = encodeData(Buffer.alloc(60_000));
      guest.isStdinStuck = true;
      for (let standing = 0; standing < 40; await new Promise((resolve) => setTimeout(resolve, 5))) {
        standing = socket.writableNeedDrain ? standing + 1 : 0;
        if (!socket.writableNeedDrain) socket.write(piece);
      }
      socket.destroy();
    },
  };
  for (const [way, leave] of Object.entries(ways)) {
    const socket = await api.exec('web', { argv: ['sleep', '1000'] });
    socket.on('error', () => undefined);
    await until(() => guest.openSessions === OWN + 1);
    await leave(socket);
    await until(() => guest.openSessions === OWN);
    guest.isStdinStuck = false;
    assert.equal(guest.openSessions, OWN, way);
  }
});
