// A program that stands in for bangerd where the CLI starts, replaces and stops it. FAKE_BUILD is the build that it reports;
// FAKE_FAILURE makes it end while it starts. FAKE_LOCK names a directory that one of them holds at a time, and FAKE_DELAY_MS is how
// long that one takes to listen; FAKE_DEATH makes the first holder end before that. FAKE_SESSIONS is its list of open sessions. Every start appends a line to FAKE_STARTS.
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const {
  BANGER_RUNTIME_DIR = '',
  FAKE_BUILD = 'dev',
  FAKE_STARTS = '',
  FAKE_FAILURE,
  FAKE_LOCK,
  FAKE_DELAY_MS,
  FAKE_DEATH,
  FAKE_SESSIONS,
} = process.env;
appendFileSync(FAKE_STARTS, `${process.pid} ${FAKE_BUILD}\n`);
if (FAKE_FAILURE !== undefined) {
  const isPlain = FAKE_FAILURE.startsWith('bangerd: ');
  process.stderr.write(`${isPlain ? FAKE_FAILURE : JSON.stringify({ level: 'error', msg: FAKE_FAILURE })}\n`);
  process.exit(2);
}
if (FAKE_LOCK !== undefined) {
  try {
    mkdirSync(FAKE_LOCK);
  } catch {
    process.exit(75);
  }
  await sleep(Number(FAKE_DELAY_MS));
  if (FAKE_DEATH !== undefined && isFirst(FAKE_DEATH)) {
    rmSync(FAKE_LOCK, { recursive: true });
    process.exit(75);
  }
}
const socketPath = `${BANGER_RUNTIME_DIR}/bangerd.sock`;
rmSync(socketPath, { force: true });
const server = createServer((request, response) => {
  response.setHeader('Banger-Build', FAKE_BUILD);
  response.setHeader('Content-Type', 'application/json');
  if (request.url === '/v1/daemon/shutdown') {
    response.writeHead(202).end(JSON.stringify({ pid: process.pid }));
    server.close();
    rmSync(socketPath, { force: true });
    server.closeIdleConnections();
  } else if (request.url === '/v1/daemon/build') response.end(JSON.stringify({ build: FAKE_BUILD, version: '1' }));
  else if (request.url === '/v1/daemon') response.end(JSON.stringify({ pid: process.pid, version: '1', build: FAKE_BUILD, socketPath }));
  else if (request.url === '/v1/daemon/sessions' && FAKE_SESSIONS !== undefined) response.end(FAKE_SESSIONS);
  else if (request.url === '/v1/vms') response.end('[]');
  else response.writeHead(404).end(JSON.stringify({ code: 'NOT_FOUND', message: `no ${request.url}` }));
});
server.listen(socketPath);

function isFirst(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch {
    return false;
  }
}
