import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { run } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import { type DnsServer, createDnsServer } from './server.ts';

const log = (): void => undefined;

describe('the name server, asked by dig', () => {
  let server: DnsServer;
  before(async () => {
    server = await createDnsServer({ address: '127.0.0.1', port: 0, log });
    server.setRecords(
      new Map([
        ['web', '127.213.0.2'],
        ['db', '127.213.1.3'],
      ]),
    );
  });
  after(() => server.close());
  const dig = async (...args: string[]): Promise<string> =>
    (
      await run([
        'dig',
        '@127.0.0.1',
        '-p',
        String(server.port),
        '+time=2',
        '+tries=1',
        '+noall',
        '+comments',
        '+answer',
        '+authority',
        ...args,
      ])
    ).stdout;

  for (const transport of ['+notcp', '+tcp']) {
    test(`A of a VM and of any name below it (${transport}) (6.3)`, async () => {
      assert.match(await dig(transport, 'web.vm'), /status: NOERROR[^]*flags: qr aa rd;[^]*^web\.vm\.\s+1\s+IN\s+A\s+127\.213\.0\.2$/m);
      assert.match(await dig(transport, 'a.b.web.vm'), /^a\.b\.web\.vm\.\s+1\s+IN\s+A\s+127\.213\.0\.2$/m);
    });

    test(`an unknown name is NXDOMAIN with SOA (${transport}) (6.3)`, async () => {
      assert.match(await dig(transport, 'nobody.vm'), /status: NXDOMAIN[^]*^vm\.\s+5\s+IN\s+SOA\s+ns\.vm\./m);
    });

    test(`other types are NODATA with SOA (${transport}) (6.3)`, async () => {
      for (const type of ['AAAA', 'HTTPS', 'MX', 'TYPE64000']) {
        assert.match(await dig(transport, 'web.vm', type), /status: NOERROR[^]*ANSWER: 0, AUTHORITY: 1[^]*IN\s+SOA/, type);
      }
    });

    test(`PTR, SOA and NS (${transport}) (6.3)`, async () => {
      assert.match(await dig(transport, '-x', '127.213.1.3'), /IN\s+PTR\s+db\.vm\./);
      assert.match(await dig(transport, '-x', '127.213.9.9'), /status: NXDOMAIN[^]*IN\s+SOA/);
      assert.match(await dig(transport, 'vm', 'SOA'), /ANSWER: 1[^]*IN\s+SOA/);
      assert.match(await dig(transport, 'vm', 'NS'), /IN\s+NS\s+ns\.vm\./);
    });

    test(`outside its zone it refuses (${transport}) (6.3)`, async () => {
      for (const name of ['example.com', 'notvm', 'vm.example', '1.0.0.127.in-addr.arpa', '.']) {
        assert.match(await dig(transport, name), /status: REFUSED/, name);
      }
    });
  }

  test('the case of a question comes back as it was asked (6.3)', async () => {
    assert.match(await dig('+qr', 'WeB.Vm'), /^WeB\.Vm\.\s+1\s+IN\s+A\s+127\.213\.0\.2$/m);
  });

  test('EDNS is answered with EDNS, an unknown version with BADVERS (6.3)', async () => {
    assert.match(await dig('+edns=0', 'web.vm'), /EDNS: version: 0/);
    assert.match(await dig('+noedns', 'web.vm'), /ADDITIONAL: 0/);
    assert.match(await dig('+edns=5', '+noednsnegotiation', 'web.vm'), /status: BADVERS/);
  });

  test('records follow at once (6.3)', async () => {
    server.setRecords(new Map([['Other', '127.213.0.9']]));
    assert.match(await dig('web.vm'), /NXDOMAIN/);
    assert.match(await dig('other.vm'), /127\.213\.0\.9/);
    server.setRecords(new Map([['web', '127.213.0.2']]));
  });

  test('the same question again has the id of its own query, and its own case (6.3)', async () => {
    const udp = createSocket('udp4');
    const replies: string[] = [];
    udp.on('message', (message) => replies.push(message.toString('hex')));
    const query = (id: string, name: string): Buffer => Buffer.from(`${id}010000010000000000000377${name}02766d0000010001`, 'hex');
    for (const [id, name] of [
      ['0001', '6562'],
      ['0002', '6562'],
      ['0003', '4542'],
    ] as const) {
      udp.send(query(id, name), server.port, '127.0.0.1');
      const [reply] = (await once(udp, 'message')) as [Buffer];
      assert.equal(reply.subarray(0, 2).toString('hex'), id);
      assert.equal(reply.subarray(12, 20).toString('hex'), `0377${name}02766d00`.slice(0, 16));
    }
    udp.close();
    assert.equal(replies[0]?.slice(4), replies[1]?.slice(4));
  });

  test('an answer that does not fit is cut, and whole over TCP (6.3)', async () => {
    const names = Array.from({ length: 60 }, (_, i) => [`name-number-${i}`, '127.213.7.7'] as const);
    server.setRecords(new Map(names));
    assert.match(await dig('+noedns', '+ignore', '-x', '127.213.7.7'), /flags: qr aa tc/);
    assert.match(await dig('+noedns', '-x', '127.213.7.7'), /ANSWER: 60/);
    server.setRecords(new Map([['web', '127.213.0.2']]));
  });

  test('garbage gets FORMERR or no answer, and the server continues (6.3)', async () => {
    const udp = createSocket('udp4');
    const replies: Buffer[] = [];
    udp.on('message', (message) => replies.push(message));
    const garbage = Buffer.from('abcd01000001000000000000ff', 'hex');
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(5, 1), garbage]) udp.send(bytes, server.port, '127.0.0.1');
    assert.match(await dig('web.vm'), /127\.213\.0\.2/);
    udp.close();
    assert.deepEqual(
      replies.map((reply) => [reply.length, reply.readUInt16BE(0), reply.readUInt8(3) & 15]),
      [[12, 0xabcd, 1]],
    );
  });

  test('a TCP client that claims too much is dropped (6.3)', async () => {
    const ended = await new Promise<boolean>((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => socket.write(Buffer.from('ffff00', 'hex')));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(true));
    });
    assert.equal(ended, true);
  });

  test('a new client gets an answer over TCP, however many others hold connections (12.8)', async () => {
    const idle = Array.from({ length: 40 }, () => connect(server.port, '127.0.0.1').on('error', () => undefined));
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    assert.match(await dig('+tcp', '+tries=1', 'web.vm'), /127\.213\.0\.2/);
    for (const socket of idle) socket.destroy();
  });

  test('a busy port is an error that says what to do (6.3)', async () => {
    await assert.rejects(createDnsServer({ address: '127.0.0.1', port: server.port, log }), (error) => {
      assert.ok(error instanceof BangerError);
      assert.equal(error.code, 'NETWORK_FAILED');
      assert.match(error.message, /dns\.port/);
      assert.equal(error.remedy, `ss -lntup 'sport = :${server.port}'`);
      return true;
    });
  });
});
