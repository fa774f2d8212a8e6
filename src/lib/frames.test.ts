import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeExit,
  encodeData,
  encodeExit,
  encodeFrame,
  encodeResize,
  encodeSignal,
  FRAME_TYPES,
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

test('any bytes cut anywhere come out as they went in (7.2)', () => {
  const body = fc.uint8Array({ maxLength: 70_000, size: 'max' });
  fc.assert(
    fc.property(fc.array(body, { maxLength: 3 }), fc.array(fc.nat(400), { minLength: 1, maxLength: 8 }), (bodies, cuts) => {
      const stream = Buffer.concat(bodies.map((b) => encodeData(b)));
      const decoder = new FrameDecoder();
      const out: Buffer[] = [];
      let at = 0;
      for (let i = 0; at < stream.length; i++) {
        const end = i > 50 ? stream.length : at + (cuts[i % cuts.length] ?? 0) + 1;
        for (const frame of decoder.push(stream.subarray(at, end))) {
          assert.equal(frame.type, FRAME_TYPES.data);
          out.push(frame.payload);
        }
        at = end;
      }
      assert.equal(decoder.pendingBytes, 0);
      assert.ok(Buffer.concat(out).equals(Buffer.concat(bodies)));
    }),
    { numRuns: 40 },
  );
});

test('a cut frame waits and is counted (7.2)', () => {
  const decoder = new FrameDecoder();
  assert.deepEqual(decoder.push(Buffer.from('00000005', 'hex')), []);
  assert.deepEqual(decoder.push(Buffer.from('hell')), []);
  assert.equal(decoder.pendingBytes, 8);
  assert.equal(decoder.push(Buffer.from('o'))[0]?.payload.toString(), 'hello');
});

test('what is not a frame is refused (7.2)', () => {
  assert.throws(() => new FrameDecoder().push(Buffer.from('07000000', 'hex')), FrameProblem);
  assert.throws(() => new FrameDecoder().push(Buffer.from('00010000', 'hex')), FrameProblem);
  assert.throws(() => encodeFrame('data', Buffer.alloc(65_536)), FrameProblem);
  assert.throws(() => decodeExit(Buffer.alloc(3)), FrameProblem);
});

test('the status of an EXIT frame is signed and its reason is text (7.2)', () => {
  const [frame] = new FrameDecoder().push(encodeExit(127, 'not found: lss'));
  assert.deepEqual(decodeExit(frame?.payload ?? Buffer.alloc(0)), { status: 127, reason: 'not found: lss' });
});
