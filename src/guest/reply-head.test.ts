import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_HEAD_BYTES, headReader } from './reply-head.ts';

test('a reply head survives any fragmentation and keeps what follows it (7.2)', () => {
  const wire = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Mode:  644 \r\n\r\nhello');
  for (let place = 1; place < wire.length; place++) {
    const read = headReader();
    const first = read(wire.subarray(0, place));
    const found = first ?? read(wire.subarray(place));
    assert.equal(found?.head.contentLength, 5);
    assert.equal(found.head.headers.get('x-mode'), '644');
    assert.equal('hello'.startsWith(found.rest.toString()), true);
  }
});

test('a head is at most 8 KiB, and any bytes give a head, an AGENT_PROTOCOL error, or a wish for more (7.2)', () => {
  const read = headReader();
  assert.throws(() => read(Buffer.alloc(MAX_HEAD_BYTES + 1, 65)), { code: 'AGENT_PROTOCOL' });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const whole = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n'), bytes, Buffer.from('\r\n\r\n')]);
      try {
        headReader()(whole);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'AGENT_PROTOCOL');
      }
    }),
    { seed: 11, numRuns: 300 },
  );
});
