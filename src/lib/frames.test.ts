import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeExit,
  encodeExit,
  encodeFrame,
  encodeResize,
  encodeSignal,
  FRAME_TYPES,
  type FrameName,
  MAX_FRAME_PAYLOAD_BYTES,
  FrameDecoder,
  FrameProblem,
} from './frames.ts';

test('frames have the bytes that the agent protocol names (7.2)', () => {
  assert.equal(encodeFrame('data', Buffer.from('hi')).toString('hex'), '000000026869');
  assert.equal(encodeFrame('eof').toString('hex'), '02000000');
  assert.equal(encodeResize(24, 80).toString('hex'), '0300000400180050');
  assert.equal(encodeResize(0, 100_000).toString('hex'), '030000040001ffff');
  assert.equal(encodeSignal(15).toString('hex'), '040000010f');
  assert.equal(encodeExit(-1, 'no').toString('hex'), '05000006ffffffff6e6f');
});

const NAMES = Object.keys(FRAME_TYPES) as FrameName[];

/** Cuts `bytes` at these places. */
function cut(bytes: Buffer, places: number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

test('frames survive any fragmentation (7.2)', () => {
  const frames = fc.array(fc.record({ name: fc.constantFrom(...NAMES), payload: fc.uint8Array({ maxLength: 300 }) }), { maxLength: 20 });
  fc.assert(
    fc.property(frames, fc.array(fc.nat(10_000), { maxLength: 40 }), (sent, places) => {
      const wire = Buffer.concat(sent.map((frame) => encodeFrame(frame.name, frame.payload)));
      const decoder = new FrameDecoder();
      const received = cut(wire, places).flatMap((chunk) => decoder.push(chunk));
      assert.deepEqual(
        received.map(({ type, payload }) => [type, [...payload]]),
        sent.map(({ name, payload }) => [FRAME_TYPES[name], [...payload]]),
      );
      assert.equal(decoder.pendingBytes, 0);
    }),
    { seed: 7, numRuns: 200 },
  );
});

test('the largest frame arrives byte by byte in linear time (7.2)', () => {
  const wire = encodeFrame('data', Buffer.alloc(MAX_FRAME_PAYLOAD_BYTES, 1));
  const decoder = new FrameDecoder(['data']);
  let frames = 0;
  for (const byte of wire) frames += decoder.push(Buffer.from([byte])).length;
  assert.equal(frames, 1);
});

test('a type that is not allowed, or a reserved byte that is not zero, is refused from its header (7.2)', () => {
  for (const header of [
    [6, 0, 0, 0],
    [200, 0, 0, 0],
    [0, 1, 0, 0],
  ]) {
    assert.throws(() => new FrameDecoder(['data', 'stderr', 'eof', 'exit']).push(Buffer.from(header)), FrameProblem);
  }
});

test('a cut frame waits and is counted (7.2)', () => {
  const decoder = new FrameDecoder();
  assert.deepEqual(decoder.push(Buffer.from('00000005', 'hex')), []);
  assert.deepEqual(decoder.push(Buffer.from('hell')), []);
  assert.equal(decoder.pendingBytes, 8);
  assert.equal(decoder.push(Buffer.from('o'))[0]?.payload.toString(), 'hello');
});

test('anything but a frame is refused (7.2)', () => {
  assert.throws(() => new FrameDecoder().push(Buffer.from('07000000', 'hex')), FrameProblem);
  assert.throws(() => new FrameDecoder().push(Buffer.from('00010000', 'hex')), FrameProblem);
  assert.throws(() => encodeFrame('data', Buffer.alloc(65_536)), FrameProblem);
  assert.throws(() => decodeExit(Buffer.alloc(3)), FrameProblem);
});

test('the status of an EXIT frame is signed and its reason is text (7.2)', () => {
  const [frame] = new FrameDecoder().push(encodeExit(127, 'not found: lss'));
  assert.deepEqual(decodeExit(frame?.payload ?? Buffer.alloc(0)), { status: 127, reason: 'not found: lss' });
});
