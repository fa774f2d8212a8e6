import assert from 'node:assert/strict';
import { type Duplex, duplexPair, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { AgentChannel } from '../drivers/hypervisor/contract.ts';
import { type AgentClient, createAgentClient } from './agent-client.ts';
import { encodeFrame } from '../lib/frames.ts';

type Fate = 'open' | 'released' | 'destroyed';

/** A client whose every channel is served by `guest`, a function that gets what the host sent and the guest's end. */
function clientOf(t: TestContext, guest: (sent: string, stream: Duplex) => void): { client: AgentClient; fates: Fate[] } {
  const fates: Fate[] = [];
  const client = createAgentClient(() => {
    const [stream, guestSide] = duplexPair();
    const index = fates.push('open') - 1;
    let sent = '';
    guestSide.on('data', (chunk: Buffer) => guest((sent += chunk.toString('latin1')), guestSide));
    t.after(() => (stream.destroy(), guestSide.destroy()));
    guestSide.once('close', () => stream.destroy());
    const settle = (fate: Fate): void => {
      if (fates[index] === 'open') fates[index] = fate;
      if (fate === 'destroyed') for (const side of [stream, guestSide]) side.destroy();
    };
    const channel: AgentChannel = { stream, release: () => settle('released'), destroy: () => settle('destroyed') };
    return Promise.resolve(channel);
  });
  return { client, fates };
}

/** A guest that answers the first whole request head with these bytes. */
function answering(bytes: string | Buffer): (sent: string, stream: Duplex) => void {
  let answered = false;
  return (sent, stream) => {
    if (answered || !sent.includes('\r\n\r\n')) return;
    answered = true;
    stream.write(bytes);
  };
}

function json(status: number, value: unknown): string {
  const body = JSON.stringify(value);
  return `HTTP/1.1 ${status} X\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const health = { status: 'ok', phase: 'running', personalized: true, uptimeMs: 5, init: 'running' };

test('a reply that arrives cut at any byte is understood, and its channel given back (7.2)', async (t) => {
  const reply = json(200, health);
  for (let cut = 1; cut < reply.length; cut += 3) {
    const { client, fates } = clientOf(t, (sent, stream) => {
      if (!sent.endsWith('\r\n\r\n')) return;
      stream.write(reply.slice(0, cut));
      setImmediate(() => stream.write(reply.slice(cut)));
    });
    assert.deepEqual(await client.healthz(), health);
    assert.deepEqual(fates, ['released']);
  }
});

for (const [what, reply] of [
  ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`],
  ['a body longer than 1 MiB', 'HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n'],
  ['more than it announced', `${json(200, health)}!`],
  ['a chunked reply', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
  ['no HTTP at all', 'hello\r\n\r\n'],
  ['broken JSON', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{'],
  ['another shape', json(200, { ...health, uptimeMs: 'long' })],
  ['an unexpected status', json(302, {})],
] as const) {
  test(`${what} is AGENT_PROTOCOL (7.2)`, async (t) => {
    const { client, fates } = clientOf(t, answering(reply));
    await assert.rejects(client.healthz(), { code: 'AGENT_PROTOCOL' });
    assert.notEqual(fates[0], 'open');
  });
}

test('a guest that is silent, or sends one byte at a time for ever, is given up in time (7.2)', async (t) => {
  const silent = clientOf(t, () => undefined);
  await assert.rejects(silent.client.healthz({ timeoutMs: 30 }), { code: 'AGENT_UNREACHABLE' });
  assert.deepEqual(silent.fates, ['destroyed']);
  const slow = clientOf(t, (_, stream) => {
    const timer = setInterval(() => stream.write('H'), 5);
    stream.once('close', () => clearInterval(timer));
    t.after(() => clearInterval(timer));
  });
  await assert.rejects(slow.client.healthz({ timeoutMs: 60 }), { code: 'AGENT_UNREACHABLE' });
});

test('an error of the guest keeps its errno, loses its control characters, and costs no channel (7.2)', async (t) => {
  const { client, fates } = clientOf(t, answering(json(404, { error: 'no \u001b]0;such file', errno: 2 })));
  await assert.rejects(client.stat('/x y'), { code: 'GUEST_FILE', message: 'no ?]0;such file', details: { status: 404, errno: 2 } });
  assert.notEqual(fates[0], 'open');
});

test('a refusal that leaves the rest of the request in the channel ends the channel, whatever was asked (7.2)', async (t) => {
  const refusal = (status: number, line = ''): string =>
    json(status, { error: 'no', errno: 0 }).replace('Content-Length', `${line}Content-Length`);
  const content = (): AsyncIterable<Uint8Array> => Readable.from([Buffer.from('hello')]);
  const asks: ((client: AgentClient) => Promise<unknown>)[] = [
    (client) => client.openExec({ argv: ['x'.repeat(100_000)] }),
    (client) => client.openTunnel('127.0.0.1:80'),
    (client) => client.getFile('/x'),
    (client) => client.putFile('/x', { content: content(), sizeBytes: 5, mode: 0o644 }),
    (client) => client.stat('/x'),
    (client) => client.personalize({ hostname: 'web' }),
    (client) => client.watch({ ports: () => undefined, clockSet: () => undefined }),
  ];
  for (const ask of asks) {
    for (const [reply, fate] of [
      [refusal(413, 'Connection: close\r\n'), 'destroyed'],
      [refusal(400), 'destroyed'],
      [refusal(404), 'released'],
    ] as const) {
      const { client, fates } = clientOf(t, answering(reply));
      await assert.rejects(ask(client));
      assert.ok(fates.length === 1 && (fates[0] === fate || fates[0] === 'destroyed'), `${reply}: ${fates.join(' ')}`);
    }
  }
});

test('an agent that does not know stop signals gets the service without one, and the host is notified (8.8)', async (t) => {
  const asked: unknown[] = [];
  const { client } = clientOf(t, (sent, stream) => {
    if (!sent.endsWith('}}')) return;
    const body = JSON.parse(sent.slice(sent.indexOf('\r\n\r\n'))) as { service: object };
    asked.push(body.service);
    stream.write('stopSignal' in body.service ? json(400, { error: 'no', errno: 0 }) : 'HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n');
  });
  const service = { argv: ['/bin/serve'], env: {}, user: null, directory: null };
  assert.match(
    JSON.stringify(await client.personalize({ service: { ...service, stopSignal: 3 } })),
    /^\{"troubles":\[\{"what":"the stop signal/,
  );
  assert.deepEqual(asked, [{ ...service, stopSignal: 3 }, service]);
  assert.deepEqual(await client.personalize({ service }), { troubles: [], hasSshServer: true });
});

test('a request that the agent cannot take is refused before a channel is opened (7.2)', async (t) => {
  const { client, fates } = clientOf(t, () => undefined);
  const content = (): AsyncIterable<Uint8Array> => Readable.from([]);
  const path = `/${'x'.repeat(20_000)}`;
  await assert.rejects(client.stat(path), { code: 'INVALID_INPUT' });
  await assert.rejects(client.getFile(path), { code: 'INVALID_INPUT' });
  await assert.rejects(client.putFile(path, { content: content(), sizeBytes: 0, mode: 0o644 }), { code: 'INVALID_INPUT' });
  await assert.rejects(client.openExec({ argv: ['x'.repeat(14 * 1024 ** 2)] }), { code: 'INVALID_INPUT' });
  await assert.rejects(client.personalize({ hosts: ['x'.repeat(14 * 1024 ** 2)] }), { code: 'INVALID_INPUT' });
  assert.deepEqual(fates, []);
  const longest = clientOf(t, answering(json(404, { error: 'no', errno: 2 })));
  await assert.rejects(longest.client.stat(`/${'\u0001'.repeat(4094)}`), { code: 'GUEST_FILE' });
});

test('a file is read at its announced length and a shorter one fails (3.13)', async (t) => {
  const head = (length: number): string => `HTTP/1.1 200 OK\r\nX-Mode: 755\r\nContent-Length: ${length}\r\n\r\n`;
  const whole = clientOf(t, answering(`${head(5)}hello`));
  const file = await whole.client.getFile('/f');
  assert.equal(file.mode, 0o755);
  assert.equal(await text(file.content), 'hello');
  assert.deepEqual(whole.fates, ['released']);
  const short = clientOf(t, (sent, stream) => {
    if (!sent.includes('\r\n\r\n')) return;
    stream.write(`${head(9)}hello`);
    setImmediate(() => stream.end());
  });
  const broken = await short.client.getFile('/f');
  await assert.rejects(text(broken.content));
  assert.deepEqual(short.fates, ['destroyed']);
});

test('a file is written with its length and mode; an early refusal and a changed source are reported (3.13)', async (t) => {
  let received = '';
  const good = clientOf(t, (sent, stream) => {
    received = sent;
    if (sent.endsWith('hello')) stream.write('HTTP/1.1 204 No Content\r\n\r\n');
  });
  const content = (): AsyncIterable<Uint8Array> =>
    (async function* () {
      yield Buffer.from('hel');
      yield Buffer.from('lo');
    })();
  await good.client.putFile('/a b', { content: content(), sizeBytes: 5, mode: 0o100640 });
  assert.match(received, /^PUT \/files\?path=%2Fa%20b&mode=0640 HTTP\/1\.1\r\n.*Content-Length: 5\r\n/s);
  const refused = clientOf(t, answering(json(403, { error: 'Permission denied', errno: 13 })));
  await assert.rejects(refused.client.putFile('/a', { content: content(), sizeBytes: 5, mode: 0o600 }), { code: 'GUEST_FILE' });
  const changed = clientOf(t, () => undefined);
  await assert.rejects(changed.client.putFile('/a', { content: content(), sizeBytes: 9, mode: 0o600 }), { code: 'INVALID_INPUT' });
  assert.deepEqual([refused.fates[0], changed.fates[0]], ['destroyed', 'destroyed']);
});

const exitFrame = (status: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeInt32BE(status);
  return encodeFrame('exit', payload);
};

test('exec gives both outputs and the status, says CLOSE, and gives the channel back (3.13)', async (t) => {
  const frames = Buffer.concat([encodeFrame('data', Buffer.from('out')), encodeFrame('stderr', Buffer.from('err')), exitFrame(7)]);
  let sentAll = '';
  const serve = answering(Buffer.concat([Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n'), frames]));
  const { client, fates } = clientOf(t, (sent, stream) => (serve(sent, stream), (sentAll = sent)));
  const session = await client.openExec({ argv: ['x'] });
  assert.deepEqual(await Promise.all([text(session.stdout), text(session.stderr), session.exit]), [
    'out',
    'err',
    { status: 7, reason: '' },
  ]);
  assert.deepEqual(fates, ['released']);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(sentAll.endsWith('\u0006\0\0\0'), true);
});

test('a guest that floods stdout is stopped by an unread session; memory stays bounded (7.2)', async (t) => {
  const frame = encodeFrame('data', Buffer.alloc(60_000));
  let accepted = 0;
  const { client } = clientOf(t, (sent, stream) => {
    if (!sent.endsWith('}')) return;
    stream.write('HTTP/1.1 101 X\r\n\r\n');
    const pump = (): void => {
      while (accepted < 1000 && stream.write(frame)) accepted++;
      if (accepted < 1000) stream.once('drain', () => (accepted++, pump()));
    };
    pump();
  });
  const session = await client.openExec({ argv: ['yes'] });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(accepted < 20, `the guest could send ${accepted} frames`);
  let bytes = 0;
  session.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length));
  while (bytes < 50 * 60_000) await new Promise((resolve) => setTimeout(resolve, 5));
  session.stdout.destroy();
});

test('if its channel dies or its frames are malformed, a session fails in every stream (7.2)', async (t) => {
  for (const [ending, code] of [
    [(stream: Duplex) => stream.destroy(), 'AGENT_UNREACHABLE'],
    [(stream: Duplex) => stream.write(Buffer.from([9, 0, 0, 0])), 'AGENT_PROTOCOL'],
  ] as const) {
    const { client, fates } = clientOf(t, (sent, stream) => {
      if (!sent.endsWith('}')) return;
      stream.write('HTTP/1.1 101 X\r\n\r\n');
      setTimeout(() => ending(stream), 5);
    });
    const session = await client.openExec({ argv: ['x'] });
    await assert.rejects(session.exit, { code });
    await assert.rejects(text(session.stdout));
    assert.deepEqual(fates, ['destroyed']);
  }
});

test('arbitrary bytes from a guest never hang or crash a call: it answers or fails by code (7.2)', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const { client } = clientOf(t, (sent, stream) => {
        if (!sent.endsWith('\r\n\r\n')) return;
        stream.write(bytes);
        stream.end();
      });
      await assert.rejects(client.info({ timeoutMs: 200 }), (error: { code?: string }) =>
        ['AGENT_PROTOCOL', 'AGENT_UNREACHABLE'].includes(error.code ?? ''),
      );
    }),
    { seed: 42, numRuns: 60 },
  );
});
