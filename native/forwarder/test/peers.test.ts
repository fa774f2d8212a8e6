// Who may use listeners on loopback, and how much of them. As root, which can be other users for a moment; guests are servers on
// loopback addresses. BANGER_FORWARDER names the program.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess } from '../../../src/host/processes.ts';
import { type CommandFailure, type DetachedProcess, run, spawnDetached } from '../../../src/host/spawn.ts';

const skip = process.getuid?.() === 0 ? false : 'only root can be other users for a moment';
const OWNER = 54_321;
const STRANGER = 54_322;
/** Of this process alone, as others may run the same test. */
const place = (last: number): string => `127.98.${process.pid % 250}.${last}`;
const HOST = place(1);
const [FIRST, SECOND] = [place(2), place(3)];
const PORT = 9000;

const scratch = skip === false ? mkdtempSync('/tmp/bgr-peers-') : '';
const socketPath = join(scratch, 'control');
const servers: Server[] = [];
const echo = createSocket('udp4', (datagram, from) => echo.send(datagram, from.port, from.address));
let forwarder: DetachedProcess;

const as = (uid: number): string[] => ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];

/** The control socket answers to the owner alone. @returns the whole answer */
async function ask(...requests: string[]): Promise<string> {
  const input = requests.map((request) => `${request}\n`).join('');
  const { stdout } = await run([...as(OWNER), 'socat', '-t5', '-', `UNIX-CONNECT:${socketPath}`], { input });
  assert.doesNotMatch(stdout, /^error/m);
  return stdout;
}

/** @returns what came back of a word, or the error */
async function say(uid: number, target: string, word = 'word'): Promise<string> {
  const outcome = await run([...as(uid), 'socat', '-t1', '-T2', '-', target], { input: word }).catch(
    (error: CommandFailure) => error.outcome,
  );
  return outcome.stdout + (/[^:]*$/.exec(outcome.stderr.trim())?.[0] ?? '').trim();
}

describe('listeners on loopback', { skip }, () => {
  before(async () => {
    const program = join(scratch, 'forwarder');
    copyFileSync(process.env['BANGER_FORWARDER'] ?? join(import.meta.dirname, '../build/banger-forwarder'), program);
    chmodSync(program, 0o755);
    chmodSync(scratch, 0o755);
    chownSync(scratch, OWNER, OWNER);
    for (const address of [FIRST, SECOND]) {
      const server = createServer({ allowHalfOpen: true }, (socket) => void socket.on('error', () => socket.destroy()).pipe(socket));
      servers.push(server.listen({ host: address, port: PORT, backlog: 2048 }));
      await once(server, 'listening');
    }
    await once(echo.bind(PORT, FIRST), 'listening');
    forwarder = await spawnDetached([...as(OWNER), 'prlimit', '--nofile=6000:6000', program, 'serve-here', socketPath], {
      outputPath: join(scratch, 'log'),
    });
    while (!existsSync(socketPath)) await sleep(5);
  });
  after(async () => {
    await endProcess(forwarder.identity, 3000);
    for (const server of servers) server.close();
    echo.close();
    rmSync(scratch, { recursive: true });
  });

  const tcp = `TCP:${HOST}:${PORT}`;
  const udp = `UDP:${HOST}:${PORT}`;

  test('the owner is served and root is; any other user is not, by TCP or UDP (12.8)', async () => {
    await ask(`publish tcp ${HOST} ${PORT} ${FIRST} ${PORT}`, `publish udp ${HOST} ${PORT} ${FIRST} ${PORT}`);
    for (const uid of [OWNER, 0]) {
      assert.equal(await say(uid, tcp), 'word', `tcp of ${uid}`);
      assert.equal(await say(uid, udp), 'word', `udp of ${uid}`);
      assert.equal(await say(uid, `TCP6:[::ffff:${HOST}]:${PORT}`), 'word', `mapped of ${uid}`);
    }
    assert.notEqual(await say(STRANGER, tcp), 'word');
    assert.notEqual(await say(STRANGER, `TCP6:[::ffff:${HOST}]:${PORT}`), 'word');
    assert.notEqual(await say(STRANGER, `${tcp},bind=${FIRST}`), 'word', 'from whatever address');
    assert.equal(await say(STRANGER, udp), '');
    assert.equal(await say(STRANGER, `${udp},bind=${SECOND}`), '');
  });

  test('another user who takes over the port of a client that has closed is recognised (12.8)', async () => {
    const from = `${udp},bind=${SECOND}:40000`;
    assert.equal(await say(OWNER, from), 'word');
    await sleep(1100);
    assert.equal(await say(STRANGER, from), '');
    assert.equal(await say(OWNER, from), 'word');
  });

  test('shared with everyone they serve everyone, until that is taken back (12.8)', async () => {
    await ask('share everyone');
    assert.equal(await say(STRANGER, tcp), 'word');
    assert.equal(await say(STRANGER, udp), 'word');
    await ask('share me');
    assert.notEqual(await say(STRANGER, tcp), 'word');
  });

  test('every user reaches a port that is published on an address that other machines reach (12.8)', async () => {
    const everywhere = 24_000 + (process.pid % 1000);
    await ask(`publish tcp 0.0.0.0 ${everywhere} ${FIRST} ${PORT}`);
    const { stdout } = await run(['hostname', '-I']);
    const [own = ''] = stdout.trim().split(' ');
    if (own !== '') assert.equal(await say(STRANGER, `TCP:${own}:${everywhere}`), 'word');
    assert.notEqual(await say(STRANGER, `TCP:127.0.0.1:${everywhere}`), 'word', 'but not by way of loopback');
    await ask(`unlisten tcp 0.0.0.0 ${everywhere}`);
  });

  test('connections to one guest leave room for those to another (12.8)', async (t) => {
    await ask(`publish tcp ${HOST} ${PORT + 2} ${SECOND} ${PORT}`);
    const open: Socket[] = [];
    t.after(() => open.forEach((socket) => socket.destroy()));
    const hold = (port: number): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = connect({ host: HOST, port });
        open.push(socket);
        // Served or reset: the answer says which.
        socket.on('connect', () => socket.write('x')).once('data', () => resolve(true));
        socket.on('error', () => resolve(false)).on('close', () => resolve(false));
      });
    const taken = await Promise.all(Array.from({ length: 1500 }, () => hold(PORT)));
    const held = taken.filter(Boolean).length;
    assert.ok(held < 1500 && held > 100, `${held} of 1500 are held`);
    assert.equal(await hold(PORT), false, 'its share is used up');
    assert.equal(await hold(PORT + 2), true, 'another guest is reached');
    open.forEach((socket) => socket.destroy());
    await until(async () => / tcp=0 /.test(await ask('info')));
    assert.equal(await hold(PORT), true);
  });
});

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await isTrue())) {
    assert.ok(performance.now() < deadline, 'waited too long');
    await sleep(20);
  }
}
