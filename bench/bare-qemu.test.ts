import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, connect, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openGuest } from './bare-guest.ts';
import { bareArguments, socketDirectoryOf } from './bare-qemu.ts';

const ARGV = [
  ...['enter-namespace', '/usr/bin/qemu-system-x86_64', '-S', '-append', 'console=ttyS0 root=x'],
  ...['-netdev', 'tap,id=net0,ifname=bgr-1,script=no', '-device', 'virtio-net-device,netdev=net0'],
  ...['-chardev', 'socket,id=agent0,path=/run/b/vms/1/agent-0.sock,server=on', '-blockdev', '{"filename":"/state/vms/1/root.qcow2"}'],
];

test('bare QEMU gets the same machine with its own files, started at once and without a TAP', () => {
  const original = { argv: ARGV, diskDirectory: '/state/vms/1', socketDirectory: socketDirectoryOf(ARGV) };
  assert.deepEqual(bareArguments(original, '/x'), [
    ...['/usr/bin/qemu-system-x86_64', '-append', 'console=ttyS0 root=x'],
    ...['-netdev', 'user,id=net0', '-device', 'virtio-net-device,netdev=net0'],
    ...['-chardev', 'socket,id=agent0,path=/x/agent-0.sock,server=on', '-blockdev', '{"filename":"/x/root.qcow2"}'],
  ]);
  assert.throws(() => socketDirectoryOf(['qemu']), /without an agent socket/);
});

/** A guest that echoes the sync line after noise, is not ready once, and then runs the command with `status`. */
function answer(socket: Socket, status: number): void {
  let requests = 0;
  socket.on('data', (data: Buffer) => {
    const text = data.toString('latin1');
    if (text.startsWith('BANGER-SYNC')) socket.write(`noise ${text}`);
    else if (text.startsWith('POST /personalize')) socket.write(`HTTP/1.1 ${text.includes('"web"') ? 204 : 400} x\r\n\r\n`);
    else if (text.startsWith('POST /exec') && requests++ === 0) socket.write('HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\n{}');
    else if (text.startsWith('POST /exec')) {
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n\0\0\0\x02hi');
      socket.write(Buffer.from([5, 0, 0, 4, 0, 0, 0, status]));
    } else if (text.startsWith('CONNECT ssh')) socket.write('HTTP/1.1 200 x\r\n\r\n\0\0\0\x02hi');
    // DATA from the visitor: answered in capitals, then the end.
    else if (data[0] === 0) socket.write(Buffer.from(`\0\0\0\x02${text.slice(4).toUpperCase()}\x05\0\0\x04\0\0\0\0`, 'latin1'));
  });
}

/** @returns the path of a socket on which a guest answers until the test ends */
async function startGuest(t: TestContext, status: number): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-bench-'));
  const path = join(directory, 'agent-0.sock');
  const server = createServer((socket) => answer(socket, status)).listen(path);
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  await once(server, 'listening');
  return path;
}

for (const [status, outcome] of [
  [0, 'succeeds'],
  [1, 'fails'],
] as const) {
  test(`the bare client personalises, retries while the guest starts, and ${outcome} when the command ends with ${status}`, async (t) => {
    const guest = await openGuest(await startGuest(t, status), 5000);
    t.after(() => guest.close());
    await guest.personalize({ hostname: 'web' });
    await (status === 0 ? guest.runTrue() : assert.rejects(guest.runTrue(), /true ended with 1/));
  });
}

test('the bare client carries a connection to the SSH server of the guest', async (t) => {
  const guest = await openGuest(await startGuest(t, 0), 5000);
  t.after(() => guest.close());
  const visitor = connect(await guest.offerSsh(), '127.0.0.1');
  let seen = '';
  visitor.setEncoding('latin1').on('data', (text: string) => {
    if (seen === '') visitor.write('ab');
    seen += text;
  });
  await once(visitor, 'end');
  assert.equal(seen, 'hiAB');
  visitor.destroy();
});

test('the bare client tells a refusal, and gives up in time', async (t) => {
  const guest = await openGuest(await startGuest(t, 0), 5000);
  t.after(() => guest.close());
  await assert.rejects(guest.personalize({ hostname: 'other' }), /answered 400/);
  await assert.rejects(openGuest('/nonexistent/agent-0.sock', 50), /ENOENT/);
});
