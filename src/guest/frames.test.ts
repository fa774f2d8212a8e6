import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameDecoder, MAX_PAYLOAD_BYTES, encodeFrame, encodeResize } from './frames.ts';
import { MAX_HEAD_BYTES, headReader } from './reply-head.ts';

const ALL = [0, 1, 2, 3, 4, 5, 6];

/** Cuts `bytes` at these places. */
function cut(bytes: Buffer, places: number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

test('frames survive any fragmentation (7.2)', () => {
  const frames = fc.array(fc.record({ type: fc.constantFrom(...ALL), payload: fc.uint8Array({ maxLength: 300 }) }), { maxLength: 20 });
  fc.assert(
    fc.property(frames, fc.array(fc.nat(10_000), { maxLength: 40 }), (sent, places) => {
      const wire = Buffer.concat(sent.map((frame) => encodeFrame(frame.type, frame.payload)));
      const decoder = new FrameDecoder(ALL);
      const received = cut(wire, places).flatMap((chunk) => decoder.push(chunk));
      assert.deepEqual(
        received.map(({ type, payload }) => [type, [...payload]]),
        sent.map(({ type, payload }) => [type, [...payload]]),
      );
      assert.equal(decoder.pendingBytes, 0);
    }),
    { seed: 7, numRuns: 200 },
  );
});

test('the largest frame arrives byte by byte in linear time (7.2)', () => {
  const wire = encodeFrame(0, Buffer.alloc(MAX_PAYLOAD_BYTES, 1));
  const decoder = new FrameDecoder([0]);
  let frames = 0;
  for (const byte of wire) frames += decoder.push(Buffer.from([byte])).length;
  assert.equal(frames, 1);
  assert.throws(() => encodeFrame(0, Buffer.alloc(MAX_PAYLOAD_BYTES + 1)), RangeError);
});

test('a type that is not allowed, or a reserved byte that is not zero, is refused from its header (7.2)', () => {
  for (const header of [
    [6, 0, 0, 0],
    [200, 0, 0, 0],
    [0, 1, 0, 0],
  ]) {
    assert.throws(() => new FrameDecoder([0, 1, 2, 5]).push(Buffer.from(header)), { code: 'AGENT_PROTOCOL' });
  }
});

test('RESIZE carries rows before columns, big-endian (3.13)', () => {
  assert.deepEqual([...encodeResize(24, 300)], [3, 0, 0, 4, 0, 24, 1, 44]);
});

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
