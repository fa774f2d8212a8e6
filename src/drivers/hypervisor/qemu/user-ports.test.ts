import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseUserPorts } from './user-ports.ts';

// Printed by QEMU 7.2.
const SAID = `Hub -1 (net0):\r
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r
  TCP[ESTABLISHED]   40  127.213.0.2 10022       10.0.2.15    22     0     0\r
  TCP[HOST_FORWARD]  38  127.213.0.2 10022       10.0.2.15    22     0     0\r
  UDP[HOST_FORWARD]  39               *  5353       10.0.2.15    53     0     0\r
  UDP[236 sec]       41       10.0.2.15 40000        10.0.2.3    53     0     0\r
`;

test("forwards of an earlier daemon are read from QEMU's list, and connections are not taken for some (10.7)", () => {
  assert.deepEqual(parseUserPorts(SAID), [
    { protocol: 'tcp', hostAddress: '127.213.0.2', hostPort: 10_022, guestPort: 22 },
    { protocol: 'udp', hostAddress: '0.0.0.0', hostPort: 5353, guestPort: 53 },
  ]);
  assert.deepEqual(parseUserPorts(''), []);
});
