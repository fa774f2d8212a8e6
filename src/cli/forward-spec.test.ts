import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BangerError } from '../model/errors.ts';
import { parseForward, parseForwardPlace } from './forward-spec.ts';

test('a forward is on 127.0.0.1 unless another address is named (6.1)', () => {
  const tcp = { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, guestPort: 80 };
  assert.deepEqual(parseForward('8080:80', undefined), tcp);
  assert.deepEqual(parseForward('localhost:8080:80/tcp', undefined), tcp);
  assert.deepEqual(parseForward('0.0.0.0:8080:80', undefined), { ...tcp, hostAddress: '0.0.0.0' });
  assert.deepEqual(parseForward('8080:80/udp', '10.1.2.3'), { ...tcp, protocol: 'udp', hostAddress: '10.1.2.3' });
});

test('its place is enough to give it up, and the whole of it does no harm (6.1)', () => {
  const place = { protocol: 'udp', hostAddress: '10.1.2.3', hostPort: 8080 };
  assert.deepEqual(parseForwardPlace('10.1.2.3:8080/udp', undefined), place);
  assert.deepEqual(parseForwardPlace('10.1.2.3:8080:80/udp', undefined), place);
  assert.deepEqual(parseForwardPlace('8080:80/udp', '10.1.2.3'), place);
  assert.deepEqual(parseForwardPlace('8080', undefined), { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080 });
});

test('what makes no sense is refused before anything is contacted (6.1)', () => {
  for (const spec of [
    '',
    '80',
    '0:80',
    '65536:80',
    '80:0',
    '80:-1',
    'x:80',
    '80:80:80',
    '1.2.3:80:80',
    '::1:80:80',
    '80:80/sctp',
    '1.2.3.4:1:2:3',
  ])
    assert.throws(
      () => parseForward(spec, undefined),
      (error) => error instanceof BangerError && error.code === 'INVALID_INPUT',
      spec,
    );
  assert.throws(
    () => parseForward('1.2.3.4:80:80', '1.2.3.5'),
    (error) => error instanceof BangerError && error.code === 'USAGE',
  );
});
