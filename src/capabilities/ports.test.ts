import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenersOf } from './ports.ts';

const port = (protocol: 'tcp' | 'udp', address: string, number: number) => ({
  protocol,
  address,
  port: number,
  pid: 1,
  process: 'p',
  command: 'p',
});

test("what listens on the guest's own loopback is not forwarded, and a dual-stack service is one (6.1)", () => {
  const listeners = listenersOf([
    port('tcp', '0.0.0.0', 80),
    port('tcp', '::', 80),
    port('udp', '0.0.0.0', 80),
    port('tcp', '127.0.0.1', 5432),
    port('tcp', '::1', 631),
    port('tcp', '10.213.0.2', 8080),
  ]);
  assert.deepEqual(listeners, [
    { protocol: 'tcp', port: 80 },
    { protocol: 'udp', port: 80 },
    { protocol: 'tcp', port: 8080 },
  ]);
});
