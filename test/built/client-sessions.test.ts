// The sessions of `banger/client` as it is built. The guest of the first tests is this host, behind a daemon of a few lines.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { ExecBody } from '../../src/api/schemas.ts';
import type { Client, ClientOptions } from '../../src/client/package.ts';
import { CHECKOUT } from '../support/user/client-program.ts';
import { ownDirectories } from '../support/machine/own-directories.ts';
import { answer, type Seen, startStubDaemon, type StubDaemon } from '../support/daemon/stub-daemon.ts';
import { type GuestFrames, runAsGuest } from '../support/guest/stub-guest.ts';
import { daemonFor, fakeOf, until } from '../support/daemon/test-daemon.ts';

const { createClient } = (await import(join(CHECKOUT, 'dist/client.mjs'))) as {
  createClient(options?: ClientOptions): Client;
};

type Guest = { vms: Client['vms']; stub: StubDaemon; frames: GuestFrames[]; directory: string };

/** @param argvOf what runs on this host for a request */
async function withGuest(t: TestContext, argvOf = ({ body }: Seen): string[] => (body as ExecBody).argv): Promise<Guest> {
  const frames: GuestFrames[] = [];
  const stub = await startStubDaemon({
    routes: { 'GET /v1/daemon/build': answer({}) },
    onUpgrade: (socket, seen) => void frames.push(runAsGuest(socket, argvOf(seen))),
  });
  const directory = mkdtempSync(join(tmpdir(), 'bgr-client-'));
  t.after(async () => {
    await stub.close();
    rmSync(directory, { recursive: true });
  });
  return { vms: createClient({ env: {}, host: `unix://${stub.socketPath}` }).vms, stub, frames, directory };
}

const withCode = (code: string) => (error: unknown) => error instanceof Error && 'code' in error && error.code === code;

test('a command gets its input, and its status, stdout and stderr come back (3.13)', async (t) => {
  const { vms, stub, frames } = await withGuest(t);
  const script = ['sh', '-c', 'cat; echo oops >&2; exit 3'];
  assert.deepEqual(await vms.exec('web', script, { stdin: 'héllo', env: { A: 'b' }, cwd: '/srv', user: 'dev' }), {
    ...{ status: 3, reason: '', stdout: 'héllo', stderr: 'oops\n' },
  });
  assert.deepEqual(stub.seen.at(-1)?.body, { argv: script, env: { A: 'b' }, cwd: '/srv', user: 'dev' });
  await frames[0]?.closed;
  assert.equal((await vms.exec('web', ['cat'])).stdout, '', 'without stdin it is at its end');
  const big = Buffer.alloc(3_000_000, 'x');
  const stdout = new PassThrough();
  const [{ stdout: kept }, passed] = await Promise.all([
    vms
      .exec('web', ['cat'], { stdin: Readable.from([big.subarray(0, 1_000_000), big.subarray(1_000_000)]), stdout })
      .finally(() => stdout.end()),
    text(stdout),
  ]);
  assert.deepEqual([kept, passed.length], ['', big.length]);
  const missing = await vms.exec('web', ['no-such-program']);
  assert.deepEqual([missing.status, missing.reason], [127, 'no-such-program: not found']);
});

test('a guest that prints without end is stopped, and so is a command after an abort (3.13)', async (t) => {
  const { vms, frames } = await withGuest(t);
  await assert.rejects(vms.exec('web', ['yes'], { maxOutputBytes: 100_000 }), withCode('PAYLOAD_TOO_LARGE'));
  await frames[0]?.closed;
  const leaving = new AbortController();
  const waiting = vms.exec('web', ['sleep', '600'], { signal: leaving.signal });
  await until(() => frames.length === 2);
  leaving.abort();
  await assert.rejects(waiting, withCode('CANCELLED'));
  await assert.rejects(vms.exec('web', ['true'], { signal: leaving.signal }), withCode('CANCELLED'));
});

test('an open command takes signals and the size of its terminal (3.13)', async (t) => {
  const { vms, stub, frames } = await withGuest(t);
  const session = await vms.openExec('web', ['sleep', '600'], { tty: { rows: 50, columns: 132 } });
  assert.deepEqual(stub.seen.at(-1)?.body, { argv: ['sleep', '600'], tty: true, rows: 50, columns: 132 });
  const [output, errors] = [new PassThrough(), new PassThrough()];
  const ended = session.run({ input: undefined, output, errors });
  session.sendWindow(40, 120);
  session.sendSignal(15);
  assert.equal((await ended).status, 143);
  assert.deepEqual([frames[0]?.sizes, frames[0]?.signals], [[[40, 120]], [15]]);
});

test('directories and content are copied in and out; an invalid path in the guest is refused before anything is sent (3.13)', async (t) => {
  const { vms, stub, directory } = await withGuest(t);
  const at = (name: string): string => join(directory, name);
  mkdirSync(at('guest'));
  mkdirSync(at('app'));
  writeFileSync(at('app/main'), 'one');
  const progress: number[] = [];
  await vms.copyTo('web', at('app'), at('guest/app'), { onProgress: (moved) => progress.push(moved) });
  assert.ok((progress.at(-1) ?? 0) > 0);
  await vms.copyTo('web', { content: 'two' }, at('guest/app/note'));
  await vms.copyFrom('web', at('guest/app'), at('back'));
  assert.deepEqual(readdirSync(at('back')).toSorted(), ['main', 'note']);
  assert.equal(readFileSync(at('back/note'), 'utf8'), 'two');
  const stream = new PassThrough();
  const [passed] = await Promise.all([text(stream), vms.copyFrom('web', at('guest/app/main'), stream).then(() => stream.end())]);
  assert.equal(passed, 'one');
  const before = stub.requests.length;
  await assert.rejects(vms.copyTo('web', at('app'), 'relative'), withCode('INVALID_INPUT'));
  await assert.rejects(vms.copyFrom('web', '', at('none')), withCode('INVALID_INPUT'));
  assert.equal(stub.requests.length, before);
  await assert.rejects(vms.copyFrom('web', at('guest/none'), at('none')), withCode('GUEST_FILE'));
});

test('an abort ends a copy and leaves no incomplete file (3.13)', async (t) => {
  const { vms, directory, frames } = await withGuest(t);
  const leaving = new AbortController();
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) yield Buffer.alloc(65_536);
  }
  const onProgress = (movedBytes: number): void => void (movedBytes > 1_000_000 && leaving.abort());
  const target = join(directory, 'big');
  await assert.rejects(vms.copyTo('web', { content: endless() }, target, { signal: leaving.signal, onProgress }), withCode('CANCELLED'));
  assert.equal(frames.length, 1);
  await until(() => readdirSync(directory).length === 0);
});

test('a tunnel is a stream both ways, which ends with the guest (6.4)', async (t) => {
  const { vms, stub } = await withGuest(t, () => ['sh', '-c', 'read line; echo "guest got $line"']);
  const stream = await vms.tunnel('web', 8080);
  stream.write('hello\n');
  assert.equal(await text(stream), 'guest got hello\n');
  assert.deepEqual(stub.seen.at(-1)?.body, { target: '127.0.0.1:8080' });
});

test('verbs end with their work; logs, ports and forwards are those of the command (3.13, 6.1)', async (t) => {
  const { world } = await daemonFor(t);
  const client = createClient({ env: world.env });
  const { vms } = client;
  const stages: string[] = [];
  const made = await vms.create({ name: 'web' }, { onEvent: (event) => void (event.type === 'stage' && stages.push(event.title)) });
  assert.deepEqual([made.name, made.state], ['web', 'running']);
  assert.ok(stages.length > 3);
  assert.equal((await vms.exec('web', ['echo', 'hi'])).stdout, 'hi\n');
  assert.match(await text(Readable.from(vms.logs('web', { kind: 'events' }))), /"vm\.create|"create/);
  const leaving = new AbortController();
  const followed = (async () => {
    for await (const chunk of vms.logs('web', { kind: 'events', follow: true, signal: leaving.signal }))
      if (chunk.length > 0) leaving.abort();
  })();
  await assert.rejects(followed, withCode('CANCELLED'));
  assert.ok(Array.isArray(await vms.ports('web')));
  const forward = await vms.forward('web', { hostPort: 8080, guestPort: 80 });
  assert.deepEqual([forward.hostAddress, forward.protocol, forward.open], ['127.0.0.1', 'tcp', true]);
  assert.equal((await vms.forwards('web')).length, 1);
  await vms.unforward('web', forward);
  assert.deepEqual(await vms.forwards('web'), []);
  assert.equal((await vms.stop('web')).state, 'stopped');
  assert.equal((await vms.set('web', { name: 'site' })).name, 'site');
  assert.equal((await vms.start('site')).state, 'running');
  assert.equal(fakeOf(world, 'site').spec.vmName, 'site');
  await vms.delete('site');
  await assert.rejects(vms.show('site'), withCode('NOT_FOUND'));
  assert.equal((await client.finished(client.api.pruneImages({}))).state, 'done');
});

test('an abort undoes a creation before it throws (1.4)', async (t) => {
  const { world, effects } = await daemonFor(t);
  const { vms } = createClient({ env: world.env });
  const leaving = new AbortController();
  effects.hook = ({ name }) => {
    if (name.startsWith('hypervisor.')) leaving.abort();
  };
  await assert.rejects(vms.create({ name: 'web' }, { signal: leaving.signal }), withCode('CANCELLED'));
  assert.deepEqual([await vms.list(), world.remains()], [[], []]);
});

test('the daemon of the package is started when that is asked for, and only then (1.2)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  const env = ownDirectories(directory);
  await assert.rejects(createClient({ env }).vms.list(), withCode('DAEMON_UNREACHABLE'));
  const { api, vms } = createClient({ env, autostart: true });
  assert.deepEqual(await vms.list(), []);
  const { pid } = await api.shutdown();
  t.after(() => rmSync(directory, { recursive: true }));
  await until(() => {
    try {
      return process.kill(pid, 0) && /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return true;
    }
  });
});
