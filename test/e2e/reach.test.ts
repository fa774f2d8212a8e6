// What listens in guests, reached from the host: by address, by name, through forwards and through the HTTP front.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestPortView } from '../../src/api/port-schemas.ts';
import { createVm, eventually, guest, runInSandbox, useSandbox } from '../support/machine/e2e.ts';
import type { Sandbox } from '../support/machine/sandbox.ts';

let sandbox: () => Sandbox;

/** Reads a request whole, as a server does, and says who it is. */
const HANDLER = String.raw`cat >/root/say <<'EOF'
#!/bin/sh
while read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
printf 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s on %s' "$(hostname)" "$1"
EOF
chmod +x /root/say`;
const serve = (port: number): string =>
  `setsid systemd-socket-activate --listen=0.0.0.0:${port} --accept --inetd /root/say ${port} >/dev/null 2>&1 &`;
const UDP_ECHO = `setsid perl -MIO::Socket -e '$s=IO::Socket::INET->new(LocalPort=>5000,Proto=>"udp");while(defined $s->recv($d,999)){$s->send(uc $d)}' >/dev/null 2>&1 &`;

type Heard = { status: number; body: string };

/** @returns what an HTTP server says; status 0 when none does */
function ask(address: string, port: number, host: string): Promise<Heard> {
  return new Promise((resolve) => {
    const call = request({ host: address, port, headers: { host }, agent: false, timeout: 10_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', () => resolve({ status: 0, body }));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', (error) => resolve({ status: 0, body: error.message })).end();
  });
}

/** @returns the address that banger's own name server says, or what it says instead */
async function addressOf(name: string): Promise<string> {
  const answer = await runInSandbox(sandbox(), [
    'dig',
    '@127.0.0.1',
    '-p',
    sandbox().env['BANGER_DNS_PORT'] ?? '',
    '+noall',
    '+comments',
    '+answer',
    name,
  ]);
  return /\sA\s+(\S+)/.exec(answer)?.[1] ?? /status: (\w+)/.exec(answer)?.[1] ?? 'silence';
}

const ports = async (name: string): Promise<GuestPortView[]> =>
  JSON.parse(await sandbox().must(['vm', 'ports', name, '-o', 'json'])) as GuestPortView[];
const frontPort = (): number => Number(sandbox().env['BANGER_HTTP_PORT']);

describe('ports and names of guests', () => {
  sandbox = useSandbox({ config: '[http]\nwake = true\n' });

  before(async () => {
    await Promise.all(['a', 'b'].map((name) => createVm(sandbox(), name)));
    for (const name of ['a', 'b']) await guest(sandbox(), name).sh(`${HANDLER}; ${serve(8080)}`);
  });

  test('two VMs serve the same port, each at its own name (6.1, 6.3)', async () => {
    for (const name of ['a', 'b']) {
      const heard = await eventually(
        'a page',
        async () => ask(await addressOf(`${name}.vm`), 8080, `${name}.vm`),
        ({ status }) => status === 200,
      );
      assert.equal(heard.body, `${name} on 8080`);
    }
    assert.notEqual(await addressOf('a.vm'), await addressOf('b.vm'));
    assert.equal(await addressOf('3000.a.vm'), await addressOf('a.vm'));
  });

  test('the HTTP front tells them apart by name, and ports by the number before it (6.3)', async () => {
    await guest(sandbox(), 'a').sh(serve(3000));
    const via = (host: string) =>
      eventually(
        host,
        () => ask('127.0.0.1', frontPort(), host),
        ({ status }) => status === 200,
      );
    assert.equal((await via('a.vm')).body, 'a on 8080');
    assert.equal((await via('b.vm')).body, 'b on 8080');
    assert.equal((await via('3000.a.vm')).body, 'a on 3000');
    const { url, nameUrl, localhostUrl } = await eventually(
      'its URLs',
      async () => (await ports('a')).find((p) => p.port === 3000),
      (p) => p?.scheme === 'http',
    ).then((p) => p ?? { url: null, nameUrl: null, localhostUrl: null });
    const address = await addressOf('a.vm');
    assert.equal(url, `http://${address}:3000/`);
    const own = new URL(nameUrl ?? '');
    assert.equal(own.hostname, '3000.a.vm');
    assert.equal((await ask(address, Number(own.port === '' ? 80 : own.port), '3000.a.vm')).body, 'a on 3000');
    assert.equal(localhostUrl, `http://3000.a.localhost:${frontPort()}/`);
    // As curl and browsers find it, without any set-up of names.
    assert.equal(await runInSandbox(sandbox(), ['curl', '-sS', '--max-time', '20', localhostUrl]), 'a on 3000');
    assert.match((await sandbox().banger(['vm', 'ports', 'a'])).stderr, /by name: .*http:\/\/3000\.a\.localhost:/);
    assert.equal((await ask('127.0.0.1', frontPort(), 'evil.example')).status, 404);
  });

  test('datagrams reach the guest and come back (6.1)', async () => {
    await guest(sandbox(), 'b').sh(UDP_ECHO);
    const address = await addressOf('b.vm');
    await eventually(
      'the port',
      () => ports('b'),
      (list) => list.some((p) => p.protocol === 'udp' && p.port === 5000 && p.hostPort === 5000),
    );
    const socket = createSocket('udp4');
    let heard = '';
    socket.on('message', (message) => (heard = message.toString()));
    while (heard === '') {
      socket.send('ping', 5000, address);
      await sleep(200);
    }
    socket.close();
    assert.equal(heard, 'PING');
  });

  test('a service that is restarted five times stays reachable, and vanishes while it is away (6.1)', async () => {
    const address = await addressOf('b.vm');
    const [appeared, vanished]: [number[], number[]] = [[], []];
    for (let round = 0; round < 5; round++) {
      await guest(sandbox(), 'b').sh("pkill -f '[s]ay 8080'");
      const closed = performance.now();
      await eventually(
        'the end',
        () => ask(address, 8080, 'b.vm'),
        ({ body }) => body.includes('ECONNREFUSED'),
      );
      vanished.push(Math.round(performance.now() - closed));
      await guest(sandbox(), 'b').sh(serve(8080));
      const opened = performance.now();
      await eventually(
        'the page',
        () => ask(address, 8080, 'b.vm'),
        ({ status }) => status === 200,
      );
      appeared.push(Math.round(performance.now() - opened));
    }
    console.log(`ports appeared after ${appeared.join(', ')} ms and vanished after ${vanished.join(', ')} ms`);
  });

  test('a forward outlives the daemon and the VM, and a stopped VM is started by the button of its page and by nothing else (6.1, 6.3)', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    const taken = await sandbox().banger(['vm', 'forward', 'b', `${port}:8080`]);
    assert.equal(taken.status, 1);
    assert.match(taken.stderr, /another program uses it|another program uses 127\.0\.0\.1/);
    free.close();
    await once(free, 'close');
    await sandbox().must(['vm', 'forward', 'b', `${port}:8080`]);
    const reached = () =>
      eventually(
        'the forward',
        () => ask('127.0.0.1', port, 'x'),
        ({ status }) => status === 200,
        60_000,
      );
    assert.equal((await reached()).body, 'b on 8080');
    await sandbox().must(['daemon', 'restart']);
    assert.equal((await reached()).body, 'b on 8080');
    await sandbox().must(['vm', 'set', 'b', '--name', 'shop']);
    assert.deepEqual([await addressOf('b.vm'), (await addressOf('shop.vm')).startsWith('127.213.')], ['NXDOMAIN', true]);
    await sandbox().must(['vm', 'stop', 'shop']);
    assert.equal(await addressOf('shop.vm'), 'NXDOMAIN');
    assert.match((await ask('127.0.0.1', port, 'x')).body, /ECONNREFUSED/);
    const origin = `http://shop.localhost:${frontPort()}`;
    const curl = (...words: string[]) => runInSandbox(sandbox(), ['curl', '-sS', '--max-time', '20', ...words, `${origin}/`]);
    assert.match(await curl('-H', 'Accept: text/html'), /shop is stopped[^]*<form method="post"><button>Start shop</);
    for (const words of [['-I'], ['-X', 'POST'], ['-X', 'POST', '-H', 'Origin: http://evil.example'], ['-H', `Origin: ${origin}`]])
      await curl(...words);
    assert.match(await sandbox().must(['vm', 'show', 'shop', '-o', 'json']), /"state": "stopped"/);
    assert.match(await curl('-X', 'POST', '-H', `Origin: ${origin}`), /^shop is starting\n/);
    await sandbox().must(['vm', 'wait', 'shop', '--for', 'agent', '--timeout', '120']);
    await guest(sandbox(), 'shop').sh(serve(8080));
    assert.equal((await reached()).body, 'shop on 8080');
  });
});
