// The front with its own process: names, ports and pages.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, FRONT_PROGRAM, get, useFront } from '../../test/support/outside/http-front.ts';
import { type CommandFailure, run, spawnChannel } from '../host/spawn.ts';
import { createHttpFront } from './front.ts';

const world = useFront();
const OTHER = `127.99.${process.pid % 250}.3`;

test('a name leads to a usual port, a number before it to that port (6.3)', async () => {
  assert.match((await world().get('web.vm', { path: '/a?b' })).body, /^GET \/a\?b web\.vm 0 /);
  assert.match((await world().get('3000.web.vm:42080')).body, /^GET \/ 3000\.web\.vm:42080 0 /);
  assert.match((await world().get('shop.web.vm')).body, /shop\.web\.vm/, 'and names below it too');
});

test('names under .localhost need no set-up, by IPv4 and IPv6 (6.3)', async (t) => {
  assert.equal(world().front.portsOf('').localhost, world().port);
  assert.match((await world().get('web.localhost')).body, /^GET \/ web\.localhost 0 /);
  assert.match((await world().get('3000.web.LOCALHOST:42080')).body, /^GET \/ 3000\.web\.LOCALHOST:42080 0 /);
  assert.equal((await world().get('nobody.localhost')).status, 404);
  if (!Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))) return t.skip('no IPv6 here');
  assert.match((await world().get('web.localhost', { at: '::1' })).body, /^GET \/ web\.localhost 0 /);
});

test('a name may have any letters below that of the VM, a dot at its end, and words that objects have (6.3)', async () => {
  for (const host of ['my_app.web.vm', 'WEB.VM', 'web.vm.', 'web.vm.:42080', 'web.vm:', 'xn--bcher-kva.web.vm', '-a-.web.vm', '0.web.vm'])
    assert.match((await world().get(host)).body, /^GET \//, host);
  for (const host of ['constructor.vm', '__proto__.vm', 'toString.vm', 'hasOwnProperty.localhost', '3000.valueOf.vm', 'a_b.vm']) {
    const { status, body } = await world().get(host);
    assert.deepEqual([status, body.split('\n')[0]], [404, 'No such virtual machine'], host);
  }
});

test("the VM's own address answers as well, on 80 or the same port, to its name and its number (6.3)", async () => {
  const own = world().front.portsOf(world().address).name ?? 0;
  assert.ok(own === 80 || own === world().port, String(own));
  assert.match((await world().get('web.vm', { at: world().address, port: own })).body, /web\.vm/);
  assert.match((await world().get(world().address, { at: world().address, port: own })).body, /^GET/);
  assert.equal((await world().get(world().address)).status, 404, 'elsewhere a number is nobody');
});

test('bodies pass whole in both directions, and as they come (6.3)', async () => {
  const body = Buffer.alloc(20 * 1024 ** 2, 'x');
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 8);
  assert.match((await world().get('web.vm', { body })).body, new RegExp(` ${body.length} ${hash}$`));
  const socket = connect({ host: '127.0.0.1', port: world().port });
  socket.write('GET / HTTP/1.1\r\nHost: 4000.web.vm\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  assert.match(String(await once(socket, 'data')), /101 Switching/);
  for (const word of ['one', 'two']) {
    socket.write(word);
    assert.equal(String(await once(socket, 'data')), word);
  }
  socket.destroy();
});

test('a head that comes byte by byte is waited for, half-closed connections get their answer (6.3)', async () => {
  const socket = connect({ host: '127.0.0.1', port: world().port, allowHalfOpen: true, noDelay: true });
  for (const c of 'GET / HTTP/1.0\r\nHost: web.vm\r\n\r\n') {
    socket.write(c);
    await sleep(1);
  }
  socket.end();
  let said = '';
  for await (const chunk of socket) said += String(chunk);
  assert.match(said, /200 OK[^]*GET \/ web\.vm/);
});

test("a stopped VM's page says how to start it; an unknown name's page says nothing (6.3)", async () => {
  const html = { accept: 'text/html,*/*' };
  const stopped = await world().get('slept.vm', { headers: html });
  assert.deepEqual([stopped.status, stopped.headers['content-type']], [503, 'text/html; charset=utf-8']);
  assert.match(stopped.body, /<h1>slept is stopped<\/h1>[^]*<code>banger vm start slept<\/code>/);
  world().standings.set('waking', 'starting');
  const waking = await world().get('3000.waking.vm', { headers: html });
  assert.deepEqual([waking.status, waking.headers['retry-after']], [503, '2']);
  assert.match(waking.body, /http-equiv="refresh"/);
  assert.match((await world().get('slept.vm')).body, /^slept is stopped\n[^<]*banger vm start slept\n$/, 'programs get text');
  const unknown = await world().get('nobody.vm', { headers: html });
  assert.equal(unknown.status, 404);
  assert.doesNotMatch(unknown.body, /web|slept|waking|nobody/);
});

test('foreign names lead nowhere, even if a page of another site leads them here (6.3)', async () => {
  for (const host of ['evil.example', '127.0.0.1', 'localhost', 'vm', 'web.vm.evil.example', '[::1]', 'xn--web.vm.']) {
    const { status, body } = await world().get(host, { headers: { accept: 'text/html' } });
    assert.equal(status, 404, host);
    assert.equal(body.includes('web'), false);
  }
  for (const host of ['user@web.vm', 'web.vm<script>', 'web.vm:99999', 'web.vm,db.vm', 'web.vm/x']) {
    const { status, body } = await world().get(host, { headers: { accept: 'text/html' } });
    assert.equal(status, 400, host);
    assert.equal(body.includes('script'), false);
  }
});

test('a port without a listener and a stopped VM have different pages (6.3)', async () => {
  assert.equal((await world().get('9.web.vm')).status, 502);
  for (const host of ['7000.web.vm', '7001.web.vm']) {
    const { status, body } = await world().get(host);
    assert.equal(status, 502);
    assert.match(body, /Nothing listens on port 700\d of web[^]*banger vm ports web/);
  }
});

test('many connections at once, each to its own place (6.3)', async () => {
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, at) => world().get(at % 2 === 0 ? 'web.vm' : '3000.web.vm', { path: `/${at}` })),
  );
  for (const [at, { body }] of answers.entries()) assert.match(body, new RegExp(`^GET /${at} `));
});

test('a renamed VM is found by its new name, and a stopped one leaves no listener (6.3)', async () => {
  // The process learns of it by a message of its own, which a connection may overtake.
  const comesTrue = async (isSo: () => Promise<boolean>): Promise<void> => {
    while (!(await isSo())) await sleep(10);
  };
  const { front, address } = world();
  front.close('web');
  await front.open('shop', address);
  await comesTrue(async () => (await world().get('shop.vm')).status === 502 && (await world().get('web.vm')).status === 404);
  front.close('shop');
  await comesTrue(async () => (await world().get('shop.vm')).status === 404);
  await comesTrue(() =>
    world()
      .get('shop.vm', { at: address })
      .then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
      ),
  );
});

test('when the process ends, the next connection starts another (6.3)', async (t) => {
  const started: ReturnType<typeof spawnChannel>[] = [];
  const own = createHttpFront({
    address: OTHER,
    port: 42_099,
    start: () => {
      const made = spawnChannel<never, never>([process.execPath, FRONT_PROGRAM]);
      started.push(made);
      return made;
    },
    log: () => undefined,
  });
  t.after(() => own.stop());
  await own.start(() => 'stopped');
  const ask = () => get('any.vm', { at: OTHER, port: 42_099 });
  assert.equal((await ask()).status, 503);
  assert.equal((await ask()).status, 503);
  assert.equal(started.length, 1);
  started[0]?.end();
  let answer: Answer | undefined;
  while (answer?.status !== 503 || started.at(1) === undefined) {
    answer = await ask().catch(() => undefined);
    await sleep(20);
  }
});

const skip = process.getuid?.() === 0 ? false : 'only root can be another user for a moment';

test('another user of the host is reset before anything is read, unless VMs are shared with everyone (12.8)', { skip }, async (t) => {
  const { port } = world();
  const stranger = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', 'curl', '-sS'];
  const askAt = async (at: string): Promise<string> => {
    const outcome = await run([...stranger, '-H', 'Host: web.vm', `http://${at}:${port}/`]).catch((error: CommandFailure) => error.outcome);
    return outcome.stdout;
  };
  assert.equal(await askAt('127.0.0.1'), '');
  const shared = createHttpFront({
    ...{ address: OTHER, port, log: () => undefined },
    start: () => spawnChannel([process.execPath, FRONT_PROGRAM, '', 'everyone']),
  });
  t.after(() => shared.stop());
  await shared.start(() => 'unknown');
  assert.match(await askAt(OTHER), /No such virtual machine/, 'also the connection that starts the process');
});
