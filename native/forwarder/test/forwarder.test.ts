// Tries banger-forwarder for real, with a namespace of its own and servers inside. BANGER_FORWARDER names the program.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, isAlive, waitForExit } from '../../../src/host/processes.ts';
import { type DetachedProcess, run, spawnDetached } from '../../../src/host/spawn.ts';

const program = process.env['BANGER_FORWARDER'] ?? join(import.meta.dirname, '../build/banger-forwarder');
const scratch = mkdtempSync(join(tmpdir(), 'banger-forwarder-'));
const socketPath = join(scratch, 'control');
const logPath = join(scratch, 'log');
const HOST = '127.213.254.254';
const GUEST = '10.213.0.1';
let holder: DetachedProcess;
let guest: DetachedProcess;

/** Sends raw bytes to the control socket. @returns what came back until `lines` final answers or the end */
function control(text: string | Buffer, answers = 1, path = socketPath): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(text));
    let reply = '';
    socket.on('data', (chunk) => {
      reply += chunk.toString();
      if ((reply.match(/^(ok|error .*)$/gm) ?? []).length >= answers) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(reply));
  });
}

async function pidInside(): Promise<string> {
  return /inner=(\d+)/.exec(await control('info\n'))?.[1] ?? '';
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await isTrue())) {
    assert.ok(performance.now() < deadline, 'waited too long');
    await sleep(20);
  }
}

before(async () => {
  holder = await spawnDetached([program, 'serve', socketPath, GUEST, '16', '169.254.213.53'], { outputPath: logPath });
  await until(() => readdirSync(scratch).includes('control'));
  const server = [process.execPath, join(import.meta.dirname, 'guest-server.ts'), GUEST];
  const guestLog = join(scratch, 'guest');
  guest = await spawnDetached([program, 'enter', await pidInside(), ...server], { outputPath: guestLog });
  await until(() => readFileSync(guestLog, 'utf8').includes('ready'));
  for (const port of [9000, 9001, 9002, 9003, 9009]) assert.equal(await control(`listen tcp ${HOST} ${port} ${GUEST} ${port}\n`), 'ok\n');
  assert.equal(await control(`listen udp ${HOST} 9000 ${GUEST} 9000\n`), 'ok\n');
});

after(async () => {
  await endProcess(guest.identity, 500);
  await endProcess(holder.identity, 3000);
  const log = readFileSync(logPath, 'utf8');
  rmSync(scratch, { recursive: true, force: true });
  assert.equal(log, '', 'sanitizers and the program have nothing to say');
});

type Talk = { text: string; ended: boolean; error: string | undefined };

/** Sends, optionally half-closes, and listens to the end. */
function talk(port: number, send: Buffer | string, options: { end: boolean }): Promise<Talk> {
  return new Promise((resolve) => {
    const talked: Talk = { text: '', ended: false, error: undefined };
    const socket: Socket = connect({ host: HOST, port, allowHalfOpen: true }, () => (options.end ? socket.end(send) : socket.write(send)));
    socket.on('data', (chunk) => (talked.text += chunk.toString('latin1')));
    socket.on('end', () => {
      talked.ended = true;
      socket.end();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => (talked.error = error.code));
    socket.on('close', () => resolve(talked));
  });
}

test('bytes come back whole, also when the client closes its half first (6.1)', async () => {
  const text = 'x'.repeat(3_000_000);
  const echoed = await talk(9000, text, { end: true });
  assert.equal(echoed.text.length, text.length);
  assert.equal(echoed.ended, true);
  assert.deepEqual(await talk(9001, Buffer.alloc(5_000_000), { end: true }), { text: '5000000\n', ended: true, error: undefined });
});

test('a guest that refuses or resets is seen as a reset, not as an empty answer (6.1)', async () => {
  assert.equal((await talk(9009, 'hi', { end: false })).error, 'ECONNRESET');
  assert.equal((await talk(9003, 'hi', { end: false })).error, 'ECONNRESET');
});

test('a thousand connections at once, each with its own bytes (6.1)', async () => {
  const talks = await Promise.all(Array.from({ length: 1000 }, (_, i) => talk(9000, `number ${i}`, { end: true })));
  assert.deepEqual(
    talks.map((t) => t.text),
    Array.from({ length: 1000 }, (_, i) => `number ${i}`),
  );
  await until(async () => / tcp=0 /.test(await control('info\n')));
  const descriptors = readdirSync(`/proc/${holder.identity.pid}/fd`).length;
  assert.ok(descriptors < 80, `${descriptors} descriptors are open`);
});

test('of ten thousand connections that stay open as many are held as there is room for; others are reset or wait, and all is well after them (7.2)', async (t) => {
  const { pid } = holder.identity;
  const residentKib = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  const flows = async (): Promise<number> => Number(/ tcp=(\d+) /.exec(await control('info\n'))?.[1]);
  const beforeKib = residentKib();
  const open = new Set<Socket>();
  let refused = 0;
  for (let round = 0; round < 40; round++) {
    await Promise.all(
      Array.from({ length: 250 }, () => {
        const socket = connect(9000, HOST);
        open.add(socket);
        socket.on('close', () => open.delete(socket));
        return new Promise<void>((resolve) => {
          socket.on('connect', resolve);
          socket.on('error', () => {
            refused++;
            resolve();
          });
        });
      }),
    );
  }
  await until(async () => (await flows()) + refused > 3000);
  const [held, kib] = [await flows(), residentKib() - beforeKib];
  t.diagnostic(`10 000 connections: ${held} held, ${refused} reset, ${Math.round(kib / 1024)} MiB more`);
  assert.ok(held <= 4096, `${held} flows`);
  assert.ok(kib < 64 * 1024, `${kib} KiB more`);
  for (const socket of open) socket.destroy();
  await until(async () => (await flows()) === 0);
  assert.equal((await talk(9000, 'again', { end: true })).text, 'again');
});

test('a reader that stops does not make the program hold more than its pipes (6.1)', async () => {
  const socket = connect(9000, HOST);
  socket.pause();
  socket.on('error', () => undefined);
  const residentKib = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${holder.identity.pid}/status`, 'utf8'))?.[1]);
  const beforeKib = residentKib();
  let isFull = false;
  for (let i = 0; i < 2000 && !isFull; i++) {
    socket.write(Buffer.alloc(65_536));
    await sleep(2);
    isFull = socket.writableLength > 4_000_000;
  }
  assert.equal(isFull, true, 'back-pressure reaches the client');
  assert.ok(residentKib() - beforeKib < 4096);
  socket.destroy();
});

test('datagrams find their way back to each client (6.1)', async () => {
  const clients = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const socket = createSocket('udp4');
      const reply = new Promise<string>((resolve) => socket.once('message', (message) => resolve(message.toString())));
      socket.send(`client ${i}`, 9000, HOST);
      const text = await reply;
      socket.close();
      return text;
    }),
  );
  assert.deepEqual(
    clients,
    Array.from({ length: 50 }, (_, i) => `client ${i}`),
  );
});

test('bad control lines are refused one by one and do no harm (6.1)', async () => {
  const bad = [
    'nonsense',
    '',
    'listen',
    'listen tcp',
    `listen sctp ${HOST} 1 ${GUEST} 1`,
    `listen tcp 192.0.2.1 9100 ${GUEST} 1`,
    `listen tcp 0.0.0.0 9100 ${GUEST} 1`,
    `listen tcp ${HOST} 0 ${GUEST} 1`,
    `listen tcp ${HOST} 65536 ${GUEST} 1`,
    `listen tcp ${HOST} -1 ${GUEST} 1`,
    `listen tcp ${HOST} 91x ${GUEST} 1`,
    `listen tcp ${HOST} 9100 nowhere 1`,
    `listen tcp ${HOST} 9100 ${GUEST} 1 more`,
    'tap',
    'tap add',
    'tap add eth0',
    'tap add bgr-0000000',
    'tap add bgr-0000000G',
    'tap add bgr-000000001',
    'tap delete br0',
    'tap rename bgr-00000001',
    'forget',
    'forget x',
    'list all',
    'info x',
    'quit now',
  ];
  for (const line of bad) assert.match(await control(`${line}\n`), /^error EINVAL /, line);
  assert.match(await control('a\0b\n'), /^error EINVAL /);
  assert.match(await control('x'.repeat(5000)), /^error EINVAL the line is too long\n$/);
  assert.match(await control(`unlisten tcp ${HOST} 9999\n`), /^error ENOENT /);
  assert.equal(await control(`listen tcp ${HOST} 9000 ${GUEST} 9000\n`), 'ok\n');
  assert.match(await control(`listen tcp ${HOST} 9000 ${GUEST} 9001\n`), /^error EADDRINUSE /);
  assert.equal(statSync(socketPath).mode & 0o777, 0o600);
});

test('a port published on all addresses stays beside the same port of VMs’ own, in either order, and only by its word (6.1)', async () => {
  const port = 21_000 + (process.pid % 1000);
  assert.match(await control(`listen tcp 0.0.0.0 ${port} ${GUEST} 9000\n`), /^error EINVAL /);
  for (const order of [
    [`publish tcp 0.0.0.0 ${port} ${GUEST} 9000`, `listen tcp ${HOST} ${port} ${GUEST} 9001`],
    [`listen tcp ${HOST} ${port} ${GUEST} 9001`, `publish tcp 0.0.0.0 ${port} ${GUEST} 9000`],
  ]) {
    for (const line of order) assert.equal(await control(`${line}\n`), 'ok\n', line);
    assert.equal((await talk(port, 'four', { end: true })).text, '4\n', 'the exact address is served by its own listener');
    assert.match(await control('list\n'), new RegExp(`^listen tcp 0\\.0\\.0\\.0 ${port} `, 'm'));
    assert.equal(await control(`unlisten tcp ${HOST} ${port}\n`), 'ok\n');
    assert.equal((await talk(port, 'four', { end: true })).text, 'four', 'all others by the published one');
    assert.equal(await control(`unlisten tcp 0.0.0.0 ${port}\n`), 'ok\n');
  }
});

test('a port that another program has is refused, on its address and on all (6.1)', async () => {
  const other = createServer().listen(0, HOST);
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  for (const address of [HOST, '0.0.0.0'])
    assert.match(await control(`publish tcp ${address} ${port} ${GUEST} 9000\n`), /^error EADDRINUSE /);
  other.close();
});

test('many requests on one connection are answered in order, also a long list (6.1)', async () => {
  const ports = Array.from({ length: 500 }, (_, i) => 20_000 + i);
  const answer = await control(ports.map((port) => `listen tcp ${HOST} ${port} 10.213.9.9 ${port}\n`).join(''), 500);
  assert.equal(answer, 'ok\n'.repeat(500));
  assert.equal((await control('list\n')).split('\n').filter((line) => line.includes('10.213.9.9')).length, 500);
  assert.equal(await control('forget 10.213.9.9\n'), 'ok\n');
  assert.equal((await control('list\n')).includes('10.213.9.9'), false);
});

test('TAPs come and go by name, twice (6.1)', async () => {
  assert.equal(await control('tap add bgr-0000000a\ntap add bgr-0000000a\ntap list\n', 3), 'ok\nok\ntap bgr-0000000a\nok\n');
  assert.equal(await control('tap delete bgr-0000000a\ntap delete bgr-0000000a\ntap list\n', 3), 'ok\nok\nok\n');
});

test('forget ends the connections of a guest (6.1)', async () => {
  const talked = talk(9002, '', { end: false });
  await until(async () => / tcp=1 /.test(await control('info\n')));
  await control(`forget ${GUEST}\n`);
  assert.equal((await talked).error, 'ECONNRESET');
  for (const port of [9000, 9001]) assert.equal(await control(`listen tcp ${HOST} ${port} ${GUEST} ${port}\n`), 'ok\n');
});

test('without free descriptors it waits instead of spinning, and continues afterwards (6.1)', async () => {
  const { pid } = holder.identity;
  const soft = readdirSync(`/proc/${pid}/fd`).length + 24;
  await run(['prlimit', '--pid', String(pid), `--nofile=${soft}:`]);
  const talks = Array.from({ length: 60 }, (_, i) => talk(9000, `late ${i}`, { end: true }));
  const ticks = (): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  };
  const beforeTicks = ticks();
  await sleep(1500);
  assert.ok(ticks() - beforeTicks < 50, `used ${ticks() - beforeTicks} ticks of 150`);
  await run(['prlimit', '--pid', String(pid), '--nofile=4096:']);
  const results = await Promise.all(talks);
  assert.equal(
    results.every((t, i) => t.text === `late ${i}` || t.error === 'ECONNRESET'),
    true,
  );
  assert.equal((await talk(9000, 'again', { end: true })).text, 'again');
});

test('what enters has no capability and cannot gain one (9.4)', async () => {
  const { stdout } = await run([program, 'enter', await pidInside(), 'cat', '/proc/self/status']);
  for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.match(stdout, new RegExp(`^${set}:\\s+0+$`, 'm'));
  assert.match(stdout, /^NoNewPrivs:\s+1$/m);
  await assert.rejects(run([program, 'enter', '1x', 'true']));
  await assert.rejects(run([program, 'enter', String(process.pid), 'true']), /ended with status 71/);
});

test('packets that no honest guest sends do no harm (6.1)', async () => {
  const rude = join(import.meta.dirname, '../../../test/support/guest/rude-guest.py');
  // From and to addresses that the forwarder refuses, so that nothing leaves this machine.
  await run([program, 'enter-admin', await pidInside(), 'python3', rude, 'uplink0', '127.0.0.1'], { timeoutMs: 60_000 });
  assert.equal((await talk(9000, 'still here', { end: true })).text, 'still here');
});

test('without a namespace it forwards to addresses that the host reaches, has no TAPs, and ends like the other mode (6.2)', async (t) => {
  const path = join(scratch, 'here');
  const here = await spawnDetached([program, 'serve-here', path], { outputPath: logPath });
  t.after(() => endProcess(here.identity, 1000));
  await until(() => readdirSync(scratch).includes('here'));
  const answering = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket)).listen(0, '127.0.0.1');
  const echo = createSocket('udp4', (datagram, from) => echo.send(datagram, from.port, from.address));
  t.after(() => (answering.close(), echo.close()));
  await Promise.all([once(answering, 'listening'), once(echo.bind(0, '127.0.0.1'), 'listening')]);
  const port = 23_000 + (process.pid % 1000);
  for (const [protocol, server] of [
    ['tcp', answering],
    ['udp', echo],
  ] as const)
    assert.equal(
      await control(`publish ${protocol} ${HOST} ${port} 127.0.0.1 ${(server.address() as AddressInfo).port}\n`, 1, path),
      'ok\n',
    );
  assert.equal((await talk(port, 'x'.repeat(100_000), { end: true })).text.length, 100_000);
  const client = createSocket('udp4');
  client.send('datagram', port, HOST);
  assert.equal(String((await once(client, 'message'))[0]), 'datagram');
  client.close();
  assert.match(await control('tap add bgr-0000000a\n', 1, path), /^error ENODEV /);
  assert.equal(await control('forget 127.0.0.1\nlist\n', 2, path), 'ok\nok\n');
  assert.equal(await control('quit\n', 1, path), '');
  assert.equal(await waitForExit(here.identity, 3000), true);
  assert.equal(readdirSync(scratch).includes('here'), false);
});

test('quit ends both halves and removes the socket (9.5)', async () => {
  const inner = Number(await pidInside());
  assert.equal(await control('quit\n'), '');
  assert.equal(await waitForExit(holder.identity, 3000), true);
  assert.equal(isAlive({ pid: inner, startTicks: holder.identity.startTicks }), false);
  assert.equal(readdirSync(scratch).includes('control'), false);
});
