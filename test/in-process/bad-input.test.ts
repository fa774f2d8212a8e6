// Whatever comes over the socket: one form of error, nothing recorded, nothing made, and a daemon that goes on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorSchema } from '../../src/api/schemas.ts';
import { ERROR_CODES } from '../../src/model/errors.ts';
import { request, sendRaw } from '../support/user/raw-http.ts';
import { created, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { createTestWorld } from '../support/daemon/test-world.ts';
import { keptBytes } from '../support/machine/kept-memory.ts';
import { runInProcess } from '../support/user/run-cli.ts';

const world = createTestWorld();
let daemon: TestDaemon;
before(async () => {
  daemon = await startDaemon(world);
});
after(async () => {
  await daemon.stop();
  world.remove();
});

/** Sends bytes that must be refused. @returns the error's message */
async function refuse(what: string, bytes: string | Buffer, code: keyof typeof ERROR_CODES = 'INVALID_INPUT'): Promise<string> {
  const recorded = daemon.services.operations.list().length;
  const reply = await sendRaw(world.directories.socketPath, bytes);
  const told = `${what}: ${reply.text.slice(0, 300)}`;
  const error = errorSchema.safeParse(reply.body);
  assert.ok(error.success, told);
  assert.deepEqual([error.data.code, reply.status], [code, ERROR_CODES[code].status], told);
  assert.match(reply.headers, /banger-build: dev/i, told);
  assert.doesNotMatch(error.data.message, /\n\s+at |Invalid input|expected/, told);
  assert.ok(error.data.message.length < 400, told);
  assert.equal(daemon.services.operations.list().length, recorded, told);
  assert.deepEqual([await daemon.api.listVms(), world.remains()], [[], []], told);
  return error.data.message;
}

const create = (body: unknown): string => request('POST', '/v1/vms', typeof body === 'string' ? body : JSON.stringify(body));

const BAD_NAMES = [
  '-x',
  'x-',
  'A_b',
  'a'.repeat(64),
  '../x',
  '',
  'a\0b',
  'ünï',
  'a\nb',
  'a b',
  'a.b',
  'all',
  'localhost',
  '😀',
  '--help',
  'a'.repeat(2000),
];

test('a bad name is refused with the rule that it breaks (3.2)', async () => {
  for (const name of BAD_NAMES) assert.match(await refuse(name, create({ name })), /name/, name);
  for (const name of [1, null, {}, ['a'], true])
    assert.match(await refuse(JSON.stringify(name), create({ name })), /^name must be a string/);
});

const BAD_MEMBERS: Record<string, { values: unknown[]; message: RegExp }> = {
  memoryMib: {
    values: [0, -1, 127, 1_048_577, '12q', '1024', 1e18, 1.5, null, true, [], {}],
    message: /^memoryMib must be a whole number from 128 to 1048576/,
  },
  vcpuCount: { values: [0, -1, 1.5, 33, 99, '2', null, 1e300], message: /^vcpuCount must be a whole number from 1 to 32/ },
  workDiskBytes: {
    values: [0, 1, -1, 2 ** 50, '20G', 1.5],
    message: /^workDiskBytes must be a whole number from 67108864 to 17592186044416/,
  },
  rootOverlayBytes: { values: [0, 1, 1e19, 'x'], message: /^rootOverlayBytes must be a whole number from/ },
  nat: { values: [0, 'yes', null], message: /^nat must be true or false/ },
  start: { values: [1, 'no'], message: /^start must be true or false/ },
  waitFor: { values: ['boot', 1, null], message: /^waitFor must be one of agent, ssh, services/ },
  image: { values: [5, null, {}], message: /^image must be a string/ },
};

for (const [member, { values, message }] of Object.entries(BAD_MEMBERS)) {
  test(`a bad ${member} is refused with what is allowed (3.2)`, async () => {
    for (const value of values) assert.match(await refuse(`${member} ${JSON.stringify(value)}`, create({ [member]: value })), message);
  });
}

test('an unknown image is not found, and an unknown member is refused with the list of known ones (3.2)', async () => {
  assert.match(await refuse('image', create({ image: 'nosuch' }), 'NOT_FOUND'), /no image "nosuch"/);
  assert.match(await refuse('member', create({ memory: 5 })), /has no member "memory"; it may have name, image/);
  assert.match(await refuse('query', request('GET', '/v1/vms?all=1')), /the query has no member "all"/);
});

test('a body that is not an object, not JSON, too deep, too large or of another type is refused (1.6, 3.2)', async () => {
  const bodies = [
    '[]',
    'null',
    '5',
    '"x"',
    'true',
    '{',
    '{"name":"a"',
    '',
    '{"memoryMib":NaN}',
    "{'name':'a'}",
    '{"__proto__":{"a":1}}',
    '\0',
  ];
  for (const body of bodies) await refuse(body, create(body));
  await refuse('deep list', create('['.repeat(100_000) + ']'.repeat(100_000)));
  await refuse('deep object', create('{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)));
  await refuse('10 MB', create(JSON.stringify({ name: 'a'.repeat(10e6) })), 'PAYLOAD_TOO_LARGE');
  await refuse('no body', request('POST', '/v1/vms'));
  for (const type of ['text/plain', 'application/xml', 'application/octet-stream', 'multipart/form-data; boundary=x', 'x', '']) {
    assert.match(await refuse(type, request('POST', '/v1/vms', '{}', { 'Content-Type': type })), /application\/json|JSON/);
  }
});

test('malformed HTTP is refused like any other bad request (1.6)', async () => {
  const head = 'POST /v1/vms HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n';
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  await refuse('two lengths', `${head}Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}`);
  await refuse('length and chunks', `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`);
  await refuse('negative length', `${head}Content-Length: -5\r\n\r\n`);
  await refuse('chunks of a bad name', `${chunked}5\r\n{"nam\r\n6\r\ne":"-"\r\n1\r\n}\r\n0\r\n\r\n`);
  await refuse('no chunk', `${chunked}ZZ\r\n{}`);
  await refuse('huge header', request('POST', '/v1/vms', '{}', { 'X-A': 'a'.repeat(100_000) }));
  await refuse('many headers', head + 'X: y\r\n'.repeat(500) + 'Content-Length: 12\r\n\r\n{"name":"-"}');
  await refuse('a word', 'hello\r\n\r\n');
  await refuse('TLS', Buffer.from([0x16, 3, 1, 0, 0xff, 1]));
  await refuse('HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  await refuse('a method of its own', request('FOO', '/v1/vms'));
});

test('unknown routes and methods are not found (1.1, 1.6)', async () => {
  const unknown = [
    ['GET', '/'],
    ['GET', '/v1/nosuch'],
    ['PATCH', '/v1/vms'],
    ['DELETE', '/v1/vms'],
    ['PUT', '/v1/vms/x'],
    ['OPTIONS', '/v1/vms'],
    ['TRACE', '/v1/vms'],
    ['GET', '/v1/vms/x/start'],
    ['GET', `/${'x'.repeat(5000)}`],
  ] as const;
  for (const [method, path] of unknown) await refuse(`${method} ${path}`, request(method, path), 'NOT_FOUND');
});

test('an unknown reference or id is not found, and a malformed one is refused (1.6, 3.1)', async () => {
  for (const ref of ['%00', 'x'.repeat(200), '..%2fx', '%2e%2e', '..', 'a%0ab', '%F0%9F%98%80', '', 'constructor', '__proto__', 'abc']) {
    for (const bytes of [
      request('GET', `/v1/vms/${ref}`),
      request('DELETE', `/v1/vms/${ref}`),
      request('POST', `/v1/vms/${ref}/stop`, '{}'),
    ]) {
      await refuse(bytes, bytes, 'NOT_FOUND');
    }
  }
  for (const ref of ['%', '%zz', '%ff', 'x'.repeat(201), 'x'.repeat(7000)]) await refuse(ref, request('GET', `/v1/vms/${ref}`));
  for (const id of ['%00', '..%2f', 'nosuch', 'constructor']) {
    for (const path of [`/v1/operations/${id}`, `/v1/operations/${id}/events`]) await refuse(path, request('GET', path), 'NOT_FOUND');
    await refuse(id, request('DELETE', `/v1/operations/${id}`), 'NOT_FOUND');
  }
  await refuse('long id', request('GET', `/v1/operations/${'x'.repeat(65)}`));
});

test('bad members and query values of every other route are refused (1.6, 3.2)', async () => {
  const queries = [
    'wait?for=boot',
    'wait?timeoutMs=-1',
    'wait?timeoutMs=abc',
    'wait?timeoutMs=',
    'wait?timeoutMs=1.5',
    'wait?timeoutMs=1&timeoutMs=2',
    'wait?nosuch=1',
    'logs?kind=a',
    'logs?kind=vmm&kind=serial',
    'logs?follow=yes',
    'files?path=relative',
    'files?path=/a%00b',
    `files?path=/${'a'.repeat(4096)}`,
    'files',
    'stat',
    'health?x=1',
    'ports?x=1',
    'ssh?x=1',
  ];
  for (const query of queries) await refuse(query, request('GET', `/v1/vms/x/${query}`));
  await refuse('mode', request('PUT', '/v1/vms/x/files?path=/a&mode=9', 'x', { 'Content-Type': 'application/octet-stream' }));
  for (const verb of ['start', 'stop', 'restart', 'kill']) {
    for (const body of ['{"nosuch":1}', '[]', '{"graceMs":-1}', '{"graceMs":1e9}', '{"waitFor":"x"}', '{"signal":"SIGFOO"}']) {
      await refuse(`${verb} ${body}`, request('POST', `/v1/vms/x/${verb}`, body));
    }
  }
  await refuse('force', request('POST', '/v1/bundle/build', '{"force":"yes"}'));
});

test('sessions refuse bad requests with and without an upgrade (1.6)', async () => {
  const upgrade = (path: string, body: string, to = 'banger-frames') => request('POST', path, body, { Connection: 'Upgrade', Upgrade: to });
  await refuse('no upgrade', request('POST', '/v1/vms/x/exec', '{"argv":["true"]}'));
  await refuse('no VM', upgrade('/v1/vms/x/exec', '{"argv":["true"]}'), 'NOT_FOUND');
  await refuse('bad escape', upgrade('/v1/vms/%/exec', '{}'));
  await refuse('no JSON', upgrade('/v1/vms/x/exec', '{'));
  await refuse('no route', upgrade('/v1/nosuch', '{}'), 'NOT_FOUND');
  for (const [what, body] of Object.entries({
    'no word': { argv: [] },
    'a program without a name': { argv: [''] },
    'half a character': { argv: ['\ud800'] },
    'a NUL': { argv: ['a\0b'] },
    'a long word': { argv: ['true', 'x'.repeat(131_072)] },
    'a long variable': { argv: ['true'], env: { A: 'x'.repeat(131_070) } },
    'many words': { argv: ['true', ...Array<string>(233_017).fill('')] },
    'a long directory': { argv: ['true'], cwd: `/${'x'.repeat(4095)}` },
  })) {
    await refuse(what, upgrade(`/v1/vms/x/exec`, JSON.stringify(body)));
  }
  const announced = { Connection: 'Upgrade', Upgrade: 'banger-frames', 'Content-Length': '20000000' };
  await refuse('a body of 20 MB', request('POST', `/v1/vms/x/exec`, '{', announced), 'PAYLOAD_TOO_LARGE');
  await refuse('another protocol', upgrade('/v1/vms/x/exec', '{}', 'websocket'), 'NOT_FOUND');
});

test('the daemon still answers afterwards, and the bad input has not grown its memory (1.6)', async () => {
  const keptBefore = await keptBytes();
  for (let n = 0; n < 30; n++) await sendRaw(world.directories.socketPath, create(JSON.stringify({ name: 'a'.repeat(10e6) })));
  const more = (await keptBytes()) - keptBefore;
  assert.ok(more < 30e6, `${more / 1e6} MB more`);
  assert.equal((await daemon.api.daemon()).pid, process.pid);
});

test('the CLI refuses the same values before it sends anything, and names flag, value and allowed values (3.2)', async () => {
  const flags: [string, string[], RegExp][] = [
    ['--name', BAD_NAMES, /use 1 to 63 of a-z/],
    ['--memory', ['0', '-1', '12q', '1e18', '1.5', '127', '', '9999999G'], /from 128 MiB to 1 TiB/],
    ['--vcpu', ['0', '1.5', '99', '-1', 'two', ''], /a whole number from 1 to 32/],
    ['--disk-size', ['0', '1', '20', '-1G', '1e18', '99T', 'big'], /from 64 MiB to 16 TiB/],
    ['--system-overlay-size', ['0', 'x'], /from 64 MiB to 16 TiB/],
  ];
  for (const [flag, values, allowed] of flags) {
    for (const value of values) {
      const { exitCode, stdout, stderr } = await runInProcess(world.env, ['vm', 'create', `${flag}=${value}`]);
      assert.deepEqual([exitCode, stdout], [2, ''], `${flag}=${value}`);
      assert.match(stderr, allowed, `${flag}=${value}`);
      if (flag !== '--name') assert.ok(stderr.includes(`${flag}: ${JSON.stringify(value)}`), stderr);
    }
  }
  assert.deepEqual(await daemon.api.listOperations(), []);
});

test('a mistyped name fails alone among several, with a suggestion (3.1, 3.4)', async () => {
  for (const name of ['web', 'db', 'mail']) await created(daemon.api, name);
  await assert.rejects(daemon.api.showVm('wbe'), { code: 'NOT_FOUND', message: 'there is no VM "wbe"; did you mean web?' });
  const [web] = await daemon.api.listVms();
  const result = await runInProcess(world.env, ['vm', 'stop', 'web', 'mial', 'db', web?.id.slice(0, 6) ?? '', 'web']);
  assert.deepEqual([result.exitCode, result.stdout], [3, 'web\ndb\n']);
  assert.match(result.stderr, /there is no VM "mial"; did you mean mail\?/);
  assert.deepEqual(
    (await daemon.api.listVms()).map(({ name, state }) => [name, state]),
    [
      ['web', 'stopped'],
      ['db', 'stopped'],
      ['mail', 'running'],
    ],
  );
  const gone = await runInProcess(world.env, ['vm', 'delete', '--force', '--all']);
  assert.deepEqual([gone.exitCode, gone.stdout], [0, 'web\ndb\nmail\n']);
  assert.deepEqual(world.remains(), []);
});

test('an id prefix that several VMs share is refused with their names (3.1, 3.4)', async () => {
  const vms = [await created(daemon.api, 'one', { start: false }), await created(daemon.api, 'two', { start: false })];
  const store = daemon.services.vms.records;
  const twins = vms.map(({ id }, at) => ({
    ...(store.find(id) ?? assert.fail()),
    id: `abcd${at}${id.slice(5)}`,
    name: `twin${at}`,
    networkIndex: 90 + at,
  }));
  for (const twin of twins) store.insert(twin);
  await assert.rejects(daemon.api.showVm('abcd'), { code: 'AMBIGUOUS_REFERENCE', message: 'abcd could be twin0 or twin1' });
  const { exitCode, stderr } = await runInProcess(world.env, ['vm', 'show', 'abcd']);
  assert.equal(exitCode, 3);
  assert.match(stderr, /twin0, twin1/);
  assert.equal((await daemon.api.showVm('abcd1')).name, 'twin1');
  for (const { id } of twins) store.remove(id);
});
