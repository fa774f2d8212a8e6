import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Packet, decode, encode } from 'dns-packet';
import { answerBytes } from './wire.ts';
import { answerQuery } from './zone.ts';

const records = new Map([
  ['web', '127.213.0.2'],
  ['db', '127.213.1.3'],
]);

function ask(
  name: string,
  type: 'A' | 'AAAA' | 'PTR' | 'ANY',
  more: Partial<Packet> = {},
): { rcode: string; answers: unknown[]; soa: number } {
  const query = decode(encode({ type: 'query', id: 7, questions: [{ type: type as 'A', name }], ...more }));
  const response = answerQuery(query, records, 1);
  assert.ok(response);
  const sent = decode(encode(response)) as ReturnType<typeof decode> & { rcode: string };
  assert.equal(sent.id, 7);
  const answers = (sent.answers ?? []).map((answer) => ('data' in answer ? answer.data : undefined));
  return { rcode: sent.rcode, answers, soa: (sent.authorities ?? []).filter((a) => a.type === 'SOA').length };
}

test('names are compared without case (6.3)', () => {
  assert.deepEqual(ask('wEB.vM', 'A'), { rcode: 'NOERROR', answers: ['127.213.0.2'], soa: 0 });
});

test('ANY returns all records (6.3)', () => {
  assert.deepEqual(ask('db.vm', 'ANY'), { rcode: 'NOERROR', answers: ['127.213.1.3'], soa: 0 });
});

test('a reverse name between zone and VM exists but has no records (6.3)', () => {
  assert.deepEqual(ask('1.213.127.in-addr.arpa', 'PTR'), { rcode: 'NOERROR', answers: [], soa: 1 });
  assert.deepEqual(ask('9.213.127.in-addr.arpa', 'PTR'), { rcode: 'NXDOMAIN', answers: [], soa: 1 });
});

test('other operations are not implemented (6.3)', () => {
  const NOTIFY = 4 << 11;
  assert.equal(ask('web.vm', 'A', { flags: NOTIFY }).rcode, 'NOTIMP');
});

test('two questions or none are a format error (6.3)', () => {
  const questions = [
    { type: 'A' as const, name: 'web.vm' },
    { type: 'A' as const, name: 'db.vm' },
  ];
  assert.equal(ask('web.vm', 'A', { questions }).rcode, 'FORMERR');
  assert.equal(ask('web.vm', 'A', { questions: [] }).rcode, 'FORMERR');
});

test('a response is never answered (6.3)', () => {
  const response = encode({ type: 'response', id: 1, questions: [{ type: 'A', name: 'web.vm' }] });
  assert.equal(answerBytes(response, records, 1, 'udp'), undefined);
});

test('no bytes make it throw, and every answer can be read and carries the id (6.3)', () => {
  const valid = encode({ type: 'query', id: 0x1234, questions: [{ type: 'A', name: 'web.vm' }] });
  const damaged = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, byte]) => {
    const copy = Buffer.from(valid);
    copy[at] = byte;
    return copy;
  });
  const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(damaged, noise), fc.constantFrom('udp' as const, 'tcp' as const), (bytes, transport) => {
      const answer = answerBytes(bytes, records, 1, transport);
      if (answer === undefined) return;
      assert.equal(answer.readUInt16BE(0), bytes.readUInt16BE(0));
      assert.equal(decode(answer).type, 'response');
      if (transport === 'udp') assert.ok(answer.length <= 4096);
    }),
    { numRuns: 3000, seed: 1 },
  );
});
