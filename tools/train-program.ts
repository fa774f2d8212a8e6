// Runs a program once, with a daemon that answers from memory, and writes the code that V8 compiled meanwhile.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const [mode, build = '', directory = '', ...args] = process.argv.slice(2);
const VM = {
  ...{ id: 'a'.repeat(32), name: 'web', state: 'running', image: 'default', address: '127.0.0.2', createdAt: '2020-01-01T00:00:00Z' },
  spec: { vcpuCount: 2, memoryMib: 1024, workDiskBytes: 1024 ** 3 },
};
/** EOF and EXIT with status 0 (docs/agent-protocol.md). */
const SESSION = Buffer.from([2, 0, 0, 0, 5, 0, 0, 4, 0, 0, 0, 0]);

function answer(request: string): Buffer {
  const head = (status: string): string => `HTTP/1.1 ${status}\r\nbanger-build: ${build}\r\nContent-Type: application/json\r\n`;
  if (request.startsWith('POST')) return Buffer.concat([Buffer.from(`${head('101 Switching Protocols')}\r\n`), SESSION]);
  const body = JSON.stringify(request.startsWith('GET /v1/vms') ? [VM, VM] : {});
  return Buffer.from(`${head('200 OK')}Content-Length: ${body.length}\r\n\r\n${body}`);
}

function run(): void {
  if (mode === 'steady') setFlagsFromString('--no-function-context-cells');
  const script = new Script(readFileSync(join(directory, 'source'), 'latin1'), { filename: 'program' });
  process.on('exit', () => writeFileSync(join(directory, 'code'), script.createCachedData()));
  const filename = join(directory, 'program.cjs');
  process.argv = [process.execPath, join(directory, 'source'), ...args];
  const program = script.runInThisContext() as (...names: unknown[]) => void;
  program({}, createRequire(filename), {}, filename, directory);
}

const server = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (data: Buffer) => {
    const text = data.toString('latin1');
    if (/^(GET|POST) /.test(text)) socket[text.startsWith('POST') ? 'write' : 'end'](answer(text));
  });
});
// For the CLI only: a daemon that finds its socket taken would end there.
if (args.length === 0) run();
else server.listen(join(directory, 'run', 'bangerd.sock'), run).unref();
