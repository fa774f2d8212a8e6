import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realHost } from '../../host/host.ts';
import { OUTPUT_LOG_BYTES, logOutput } from './output-log.ts';

test('a flood of output fills its log and the one before, and is held back at its source (7.2, 5.4)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-log-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const chunk = Buffer.alloc(65_536, 'x');
  let sentBytes = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    const push = (): void => {
      do sentBytes += chunk.length;
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', push);
    push();
  });
  const path = join(directory, 'line.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const file = realHost.openRotatingLog(join(directory, 'serial.log'), OUTPUT_LOG_BYTES);
  let loggedBytes = 0;
  const begin = performance.now();
  const enough = Promise.withResolvers<void>();
  const output = logOutput(connect(path), {
    write(bytes) {
      loggedBytes += bytes.length;
      file.write(bytes);
      if (loggedBytes > 3 * OUTPUT_LOG_BYTES) enough.resolve();
    },
    close: () => file.close(),
  });
  await enough.promise;
  const seconds = (performance.now() - begin) / 1000;
  output.close();
  await output.ended;
  server.close();
  const logs = readdirSync(directory).filter((name) => name.startsWith('serial'));
  const sizes = logs.map((name) => statSync(join(directory, name)).size);
  assert.ok(sizes.every((size) => size <= OUTPUT_LOG_BYTES + chunk.length) && sizes.length <= 2, `${logs.join()}: ${sizes.join()}`);
  assert.ok(loggedBytes <= (Math.ceil(seconds) + 1) * (1024 ** 2 + chunk.length), `${loggedBytes} bytes in ${seconds} s`);
  assert.ok(sentBytes < loggedBytes + 4 * 1024 ** 2, `${sentBytes} sent, ${loggedBytes} taken`);
});
