import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { ExecBody } from '../api/schemas.ts';
import { encodeData, encodeFrame } from '../lib/frames.ts';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, type Seen, startStubDaemon, type StubDaemon, type StubOptions } from '../../test/support/daemon/stub-daemon.ts';
import { type GuestFrames, runAsGuest } from '../../test/support/guest/stub-guest.ts';
import type { Input, Output } from './streams.ts';
import { createSession } from '../client/exec-session.ts';
import { takeTerminal } from './terminal.ts';

async function withGuest(onUpgrade: NonNullable<StubOptions['onUpgrade']>, work: (stub: StubDaemon) => Promise<void>): Promise<void> {
  const stub = await startStubDaemon({ routes: { 'GET /v1/daemon/build': answer({}) }, onUpgrade });
  try {
    await work(stub);
  } finally {
    await stub.close();
  }
}

const argvOf = (seen: Seen): string[] => (seen.body as ExecBody).argv;
const asHost: NonNullable<StubOptions['onUpgrade']> = (socket, seen) => void runAsGuest(socket, argvOf(seen));

test('flags after the name belong to the command, with and without -- (3.13)', async () => {
  const bodies: unknown[] = [];
  const record: typeof asHost = (socket, seen) => {
    bodies.push(seen.body);
    runAsGuest(socket, ['true']);
  };
  await withGuest(record, async (stub) => {
    await runInProcess(stub.env, ['vm', 'exec', 'web', 'ls', '-la', '--help', '-o', 'x']);
    await runInProcess(stub.env, ['vm', 'exec', 'web', '--', 'ls', '--', '-x']);
    await runInProcess({ ...stub.env, PASSED: 'p' }, [
      'vm',
      'exec',
      '-e',
      'A=b=c',
      '--env',
      'PASSED',
      '-e',
      'ABSENT',
      '-w',
      '/tmp',
      '-u',
      'me',
      'web',
      'id',
    ]);
    assert.deepEqual(bodies, [
      { argv: ['ls', '-la', '--help', '-o', 'x'] },
      { argv: ['ls', '--', '-x'] },
      { argv: ['id'], env: { A: 'b=c', PASSED: 'p' }, cwd: '/tmp', user: 'me' },
    ]);
  });
});

test('stdin, stdout, stderr and the status pass through; the session is closed (3.13)', async () => {
  let frames: GuestFrames | undefined;
  const big = Buffer.alloc(300_000, 'x');
  await withGuest(
    (socket, seen) => void (frames = runAsGuest(socket, argvOf(seen))),
    async (stub) => {
      const outcome = await runInProcess(stub.env, ['vm', 'exec', 'web', 'sh', '-c', 'cat; echo oops >&2; exit 42'], { stdin: big });
      assert.equal(outcome.exitCode, 42);
      assert.equal(outcome.stdout.length, big.length);
      assert.equal(outcome.stderr, 'oops\n');
      await frames?.closed;
    },
  );
});

test('a terminal on stdin is left alone without -i (3.13)', async () => {
  await withGuest(asHost, async (stub) => {
    const { exitCode } = await runInProcess(stub.env, ['vm', 'exec', 'web', 'cat'], { stdinIsTTY: true });
    assert.equal(exitCode, 0);
  });
});

test('signals reach the command in the guest, and its status becomes the exit status (3.13)', async () => {
  const started = Promise.withResolvers<GuestFrames>();
  await withGuest(
    (socket, seen) => started.resolve(runAsGuest(socket, argvOf(seen))),
    async (stub) => {
      const outcome = runInProcess(stub.env, ['vm', 'exec', 'web', 'sleep', '60']);
      const frames = await started.promise;
      await sleep(50);
      process.emit('SIGTERM');
      assert.equal((await outcome).exitCode, 143);
      assert.deepEqual(frames.signals, [15]);
      assert.equal(process.listenerCount('SIGTERM'), 0);
    },
  );
});

test('a command that cannot run ends with 127, a failure of banger with 125, wrong usage with 2 (3.13)', async () => {
  await withGuest(asHost, async (stub) => {
    const missing = await runInProcess(stub.env, ['vm', 'exec', 'web', 'no-such-program']);
    assert.deepEqual([missing.exitCode, missing.stderr], [127, 'banger: no-such-program: not found\n']);
    assert.equal((await runInProcess(stub.env, ['vm', 'exec', '-w', 'here', 'web', 'id'])).exitCode, 2);
    assert.equal((await runInProcess(stub.env, ['vm', 'exec', '-e', '=x', 'web', 'id'])).exitCode, 2);
    const nowhere = { ...stub.env, BANGER_RUNTIME_DIR: `${stub.directory}/none` };
    assert.equal((await runInProcess(nowhere, ['vm', 'exec', 'web', 'id'])).exitCode, 125);
  });
  const refusals: [string, number][] = [
    ['NOT_FOUND', 125],
    ['WRONG_STATE', 125],
    ['GUEST_COMMAND_NOT_FOUND', 127],
    ['GUEST_COMMAND_NOT_EXECUTABLE', 126],
  ];
  for (const [code, exit] of refusals) {
    const body = JSON.stringify({ code, message: 'no' });
    const refuse: typeof asHost = (socket) => socket.end(`HTTP/1.1 409 No\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await withGuest(refuse, async (stub) => assert.equal((await runInProcess(stub.env, ['vm', 'exec', 'web', 'id'])).exitCode, exit, code));
  }
});

test('a session that is cut, or is no frames, ends with 125 (3.13)', async () => {
  const head = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';
  const endings: [Buffer, RegExp][] = [
    [encodeData(Buffer.from('partial')), /lost the connection to the daemon before the command ended/],
    [Buffer.from('\u0009\u0009garbage'), /not a frame/],
    [encodeFrame('exit'), /not a frame/],
  ];
  for (const [bytes, expected] of endings) {
    await withGuest(
      (socket) => socket.end(Buffer.concat([Buffer.from(head), bytes])),
      async (stub) => {
        const { exitCode, stderr } = await runInProcess(stub.env, ['vm', 'exec', 'web', 'id']);
        assert.equal(exitCode, 125);
        assert.match(stderr, expected);
      },
    );
  }
});

test('a terminal is raw during the session, tells its new size, and is put back (3.13)', () => {
  const written: Buffer[] = [];
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => modes.push(on) }) as unknown as Input;
  const output = Object.assign(new PassThrough(), { rows: 50, columns: 132 }) as unknown as Output;
  const socket = Object.assign(new PassThrough(), { write: (bytes: Buffer) => written.push(bytes) });
  const listenersBefore = process.listenerCount('exit');
  const restore = takeTerminal(input, output, createSession(socket));
  output.emit('resize');
  restore();
  assert.deepEqual(modes, [true, false]);
  assert.equal(Buffer.concat(written).toString('hex'), '0300000400320084');
  assert.equal(process.listenerCount('exit'), listenersBefore);
});

test('the proxy for ssh moves bytes both ways and ends with the guest side (6.4)', async () => {
  await withGuest(asTunnel, async (stub) => {
    const outcome = await runInProcess(stub.env, ['internal', 'ssh-proxy', 'web'], { stdin: 'SSH-2.0-client' });
    assert.deepEqual([outcome.exitCode, outcome.stdout], [0, 'echo SSH-2.0-client']);
    assert.deepEqual(stub.seen.at(-1)?.body, { target: 'ssh' });
  });
});

const asTunnel: typeof asHost = (socket) => void runAsGuest(socket, ['sh', '-c', 'printf "echo "; cat']);

test('a command beyond the limits of Linux is refused before anything is sent, and one within them is sent (3.13)', async () => {
  const seen: number[] = [];
  const count: typeof asHost = (socket, { body }) => {
    seen.push((body as ExecBody).argv.length);
    runAsGuest(socket, ['true']);
  };
  await withGuest(count, async (stub) => {
    const words = Array<string>(150_000).fill('x');
    assert.equal((await runInProcess(stub.env, ['vm', 'exec', 'web', 'true', ...words])).exitCode, 0);
    assert.deepEqual(seen, [150_001]);
    const refused = await runInProcess(stub.env, ['vm', 'exec', 'web', 'true', ...words, ...words]);
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /the command and its environment take \d+ bytes with 300001 words; the limit of Linux is 2097152/);
    assert.equal((await runInProcess(stub.env, ['vm', 'exec', 'web', 'true', 'y'.repeat(131_072)])).exitCode, 2);
    assert.equal(seen.length, 1);
  });
});

test('an input that fails ends a command and an ssh connection at once, with the reason (11.10)', async () => {
  const broken = (): Readable =>
    Readable.from(
      (async function* () {
        yield Buffer.from('some');
        throw Object.assign(new Error('gone'), { code: 'EIO' });
      })(),
    );
  const endings: Promise<void>[] = [];
  const asCat: typeof asHost = (socket) => void endings.push(runAsGuest(socket, ['cat']).closed);
  await withGuest(asCat, async (stub) => {
    const exec = await runInProcess(stub.env, ['vm', 'exec', 'web', 'cat'], { stdin: broken() });
    assert.deepEqual([exec.exitCode, exec.stderr.split('\n')[0]], [125, 'banger: the input cannot be read: EIO']);
    const proxy = await runInProcess(stub.env, ['internal', 'ssh-proxy', 'web'], { stdin: broken() });
    assert.equal(proxy.exitCode, 1);
    assert.match(proxy.stderr, /the input cannot be read: EIO/);
    assert.equal((await Promise.all(endings)).length, 2, 'the guest is told');
  });
});
