import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitForExec } from './agent-exec.ts';
import { bareArguments, socketDirectoryOf } from './bare-qemu.ts';

const ARGV = [
  ...['/usr/bin/qemu-system-x86_64', '-S', '-append', 'console=ttyS0 root=x'],
  ...['-netdev', 'tap,id=net0,ifname=bgr-1,script=no', '-device', 'virtio-net-device,netdev=net0'],
  ...['-chardev', 'socket,id=agent0,path=/run/b/vms/1/agent-0.sock,server=on', '-blockdev', '{"filename":"/state/vms/1/root.qcow2"}'],
];

test('bare QEMU gets the same machine with its own files, no manager to wait for and no TAP', () => {
  const original = { argv: ARGV, diskDirectory: '/state/vms/1', socketDirectory: socketDirectoryOf(ARGV) };
  assert.deepEqual(bareArguments(original, '/x'), [
    ...['/usr/bin/qemu-system-x86_64', '-append', 'console=ttyS0 root=x banger.wait=0'],
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
    else if (text.startsWith('POST /exec') && requests++ === 0) socket.write('HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\n{}');
    else if (text.startsWith('POST /exec')) {
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n\0\0\0\x02hi');
      socket.write(Buffer.from([5, 0, 0, 4, 0, 0, 0, status]));
    }
  });
}

for (const [status, outcome] of [
  [0, 'succeeds'],
  [1, 'fails'],
] as const) {
  test(`the ready probe retries while the guest starts, and ${outcome} when the command ends with ${status}`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'bgr-bench-'));
    const path = join(directory, 'agent-0.sock');
    const server = createServer((socket) => answer(socket, status)).listen(path);
    t.after(() => {
      server.close();
      rmSync(directory, { recursive: true });
    });
    await once(server, 'listening');
    const probe = waitForExec(path, 5000);
    await (status === 0 ? probe : assert.rejects(probe, /true ended with 1/));
  });
}

test('the ready probe gives up in time', async () => {
  await assert.rejects(waitForExec('/nonexistent/agent-0.sock', 50), /ENOENT/);
});
