// A guest that sends what costs its host most. In a process of its own, so that what is held after it can be weighed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { collect, heldBytes } from '../../test/support/machine/kept-memory.ts';
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { encodeExit, encodeFrame } from '../lib/frames.ts';
import { createAgentClient } from './agent-client.ts';

const MIB = 1024 ** 2;
/** As many as a VM under QEMU has. */
const CHANNELS = 16;
/**
 * What may be held at any moment for a whole VM: a reply of 1 MiB on each channel, and what it is on its way to become. The attacker's own
 * buffers, as much again, are in this process too. What is not bounded grows by a multiple of this in the time that is given.
 */
const PEAK_LIMIT_BYTES = 192 * MIB;
/** What may be left when all is over: code that was compiled meanwhile. */
const LEFT_LIMIT_BYTES = 6 * MIB;

const directory = mkdtempSync(join(tmpdir(), 'banger-hostile-'));
const path = join(directory, 'agent');
let attack: (socket: Socket) => void = () => undefined;
let server: Server;

before(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => attack(socket));
  }).listen(path);
  await once(server, 'listening');
});
after(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

async function open(): Promise<AgentChannel> {
  const stream = connect(path).on('error', () => undefined);
  await once(stream, 'connect');
  return { stream, release: () => stream.destroy(), destroy: () => stream.destroy() };
}

const client = createAgentClient(open);

/** Lets all channels be attacked at once. @returns what was held at most and afterwards, beyond what was held before */
async function weigh(t: TestContext, work: () => Promise<unknown>): Promise<{ peak: number; left: number }> {
  // Once for what is compiled and kept anyway.
  await work();
  collect();
  const start = heldBytes();
  let peak = start;
  const timer = setInterval(() => {
    collect();
    peak = Math.max(peak, heldBytes());
  }, 100);
  await Promise.all(Array.from({ length: CHANNELS }, work));
  clearInterval(timer);
  // Buffers are let go of by their finalizers, some turns after the first collection.
  for (let turn = 0; turn < 40 && heldBytes() - start >= LEFT_LIMIT_BYTES; turn++) {
    await sleep(50);
    collect();
  }
  const weight = { peak: peak - start, left: heldBytes() - start };
  t.diagnostic(`${CHANNELS} channels: at most ${(weight.peak / MIB).toFixed(1)} MiB, afterwards ${(weight.left / MIB).toFixed(1)} MiB`);
  assert.ok(weight.peak < PEAK_LIMIT_BYTES, `${weight.peak} bytes were held`);
  assert.ok(weight.left < LEFT_LIMIT_BYTES, `${weight.left} bytes are still held`);
  return weight;
}

/** Sends the same bytes as long as the host takes them. */
function forEver(socket: Socket, bytes: Buffer): void {
  const pump = (): void => {
    while (!socket.destroyed && socket.write(bytes));
    if (!socket.destroyed) socket.once('drain', pump);
  };
  pump();
}

/** One byte for each read of the host. */
async function trickle(socket: Socket, bytes: Buffer): Promise<void> {
  socket.setNoDelay(true);
  for (let at = 0; at < bytes.length && !socket.destroyed; at++) {
    socket.write(bytes.subarray(at, at + 1));
    if (at % 8 === 7) await new Promise(setImmediate);
  }
}

const reply = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const LISTENER = { protocol: 'tcp', address: '0.0.0.0', port: 80, pid: 1, process: 'x'.repeat(256), command: 'y'.repeat(256) };

for (const [what, code, send] of [
  ['a head without end', 'AGENT_PROTOCOL', (s) => forEver(s, Buffer.alloc(65_536, 'x'))],
  ['a body that goes on behind its end', 'AGENT_PROTOCOL', (s) => (s.write(reply('{}')), forEver(s, Buffer.alloc(65_536, ' ')))],
  ['1 MiB of nested arrays', 'AGENT_PROTOCOL', (s) => s.write(reply('['.repeat(MIB / 2) + ']'.repeat(MIB / 2)))],
  ['1 MiB of nested objects', 'AGENT_PROTOCOL', (s) => s.write(reply('{"ports":'.repeat(100_000) + '1' + '}'.repeat(100_000)))],
  ['100 000 listeners', 'AGENT_PROTOCOL', (s) => s.write(reply(`{"ports":[${'{},'.repeat(100_000)}{}]}`))],
  ['a list that never comes to its end', 'AGENT_UNREACHABLE', (s) => s.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MIB}\r\n\r\n[`)],
  [
    'a body that comes byte by byte',
    'AGENT_UNREACHABLE',
    (s) => void trickle(s, Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${MIB}\r\n\r\n`.padEnd(20_000, '['))),
  ],
] as [string, string, (socket: Socket) => unknown][]) {
  test(`${what} costs a bounded amount of memory and ends in time (7.2)`, async (t) => {
    attack = (socket) => void send(socket);
    await weigh(t, () => assert.rejects(client.ports({ timeoutMs: code === 'AGENT_UNREACHABLE' ? 1500 : 30_000 }), { code }));
  });
}

test('a guest whose ports change without end is read ten times a second and then held back (7.2)', async (t) => {
  const snapshot = encodeFrame('data', Buffer.from(JSON.stringify({ ports: Array.from({ length: 100 }, () => LISTENER) })));
  attack = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    forEver(socket, snapshot);
  };
  await weigh(t, async () => {
    let heard = 0;
    let atOnce = 0;
    const ports = async (table: unknown[]): Promise<void> => {
      heard++;
      assert.deepEqual([++atOnce, table.length], [1, 100]);
      await sleep(20);
      atOnce--;
    };
    const session = await client.watch({ ports, clockSet: () => undefined });
    await sleep(1000);
    assert.ok(heard > 0 && heard < 12, `heard ${heard} times in a second`);
    session.close();
    // The flood is no end of a session, so this takes as long as a session is given for it.
    await assert.rejects(session.exit, { code: 'AGENT_UNREACHABLE' });
  });
});

test('an unread session, and one of single bytes, hold no more than one frame (7.2)', async (t) => {
  attack = (socket) => {
    socket.write('HTTP/1.1 101 X\r\n\r\n');
    forEver(socket, encodeFrame('data', Buffer.alloc(60_000)));
  };
  const unread = async (): Promise<void> => {
    const session = await client.openExec({ argv: ['yes'] });
    await sleep(500);
    session.stdout.destroy();
    await session.exit.catch(() => undefined);
  };
  await weigh(t, unread);
  attack = (socket) => {
    socket.write('HTTP/1.1 101 X\r\n\r\n');
    void trickle(socket, encodeFrame('data', Buffer.alloc(30_000))).then(() => socket.write(encodeExit(0, 'r'.repeat(4000))));
  };
  await weigh(t, async () => {
    const session = await client.openExec({ argv: ['x'] });
    session.stderr.resume();
    let bytes = 0;
    for await (const chunk of session.stdout) bytes += (chunk as Buffer).length;
    assert.equal(bytes, 30_000);
    assert.equal((await session.exit).reason.length, 1024);
  });
});
