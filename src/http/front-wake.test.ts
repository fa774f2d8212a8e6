// A stopped VM is started by a person, with the button of its page; by nothing that a page of another site can send.
import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { beforeEach, test } from 'node:test';
import { useFront } from '../../test/support/outside/http-front.ts';

const world = useFront();
beforeEach(() => {
  world().standings.set('naps', 'asleep');
  world().asked.splice(0);
});

const wakes = (): boolean[] => world().asked.map(([, wake]) => wake);

test('the page of a VM that may be started has a button, and stands in no frame (6.3)', async () => {
  const { status, headers, body } = await world().get('3000.naps.vm', { headers: { accept: 'text/html' } });
  assert.equal(status, 503);
  assert.match(body, /<form method="post"><button>Start naps<\/button><\/form>[^]*<code>banger vm start naps<\/code>/);
  assert.equal(headers['x-frame-options'], 'DENY');
  assert.match(String(headers['content-security-policy']), /form-action 'self'; frame-ancestors 'none'/);
  assert.equal(headers['referrer-policy'], 'same-origin', 'with which the button sends its Origin');
  assert.doesNotMatch((await world().get('slept.vm', { headers: { accept: 'text/html' } })).body, /<form/, 'where http.wake is off');
});

test('only a POST whose Origin is the requested name counts (6.3)', async () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const own = { origin: 'http://naps.vm:42080', ...form };
  for (const [host, headers] of [
    ['naps.vm:42080', own],
    ['naps.vm:42080', { origin: 'http://naps.vm:42080' }],
    ['NAPS.vm:42080', own],
    ['naps.vm', { origin: 'http://naps.vm', ...form }],
    ['naps.vm:80', { origin: 'http://naps.vm', ...form }],
    ['3000.naps.localhost:42080', { origin: 'http://3000.naps.localhost:42080', ...form }],
  ] as const)
    await world().get(host, { method: 'POST', headers: { ...headers } });
  assert.deepEqual(wakes(), [true, true, true, true, true, true]);
  world().asked.splice(0);
  for (const method of ['GET', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', 'PATCH']) await world().get('naps.vm:42080', { method, headers: own });
  for (const headers of [
    {},
    form,
    { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-user': '?1' },
    { 'sec-fetch-site': 'same-origin' },
    { referer: 'http://naps.vm:42080/' },
    { ...form, origin: 'null' },
    { ...form, origin: '' },
    { ...form, origin: 'http://evil.example' },
    { ...form, origin: 'https://naps.vm:42080' },
    { ...form, origin: 'http://naps.vm' },
    { ...form, origin: 'http://naps.vm:42081' },
    { ...form, origin: 'http://3000.naps.vm:42080' },
    { ...form, origin: 'http://naps.localhost:42080' },
    { ...form, origin: 'http://naps.vm:42080, http://evil.example' },
    { ...form, origin: 'http://evil.example http://naps.vm:42080' },
    { origin: 'http://naps.vm:42080', 'content-type': 'application/json' },
    { origin: 'http://naps.vm:42080', 'content-type': 'text/plain;charset=UTF-8' },
  ])
    await world().get('naps.vm:42080', { method: 'POST', headers });
  await world().talk(
    'POST / HTTP/1.1\r\nHost: naps.vm\r\nOrigin: http://naps.vm\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n',
  );
  await world().talk('GET / HTTP/1.1\r\nHost: naps.vm\r\nOrigin: http://naps.vm\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  assert.equal(wakes().length, 25);
  assert.equal(wakes().includes(true), false);
});

test('the same in HTTP/2 (6.3)', async () => {
  const session = connectHttp2(`http://127.0.0.1:${world().port}`);
  for (const [method, origin] of [
    ['GET', 'http://naps.vm'],
    ['POST', 'http://evil.example'],
    ['POST', 'http://naps.vm'],
  ]) {
    const stream = session.request({ ':method': method, ':path': '/', ':authority': 'naps.vm', origin });
    stream.end();
    for await (const _ of stream);
  }
  session.close();
  assert.deepEqual(wakes(), [false, false, true]);
});
