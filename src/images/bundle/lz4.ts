import { BangerError } from '../../model/errors.ts';

/** Each block of the legacy frame holds at most this much when unpacked (doc/lz4_Frame_format.md, "Legacy frame"). */
const BLOCK_BYTES = 8 * 1024 ** 2;

/**
 * Unpacks LZ4's legacy frame, in which kernels are compressed: a magic number, then blocks with their compressed size before them.
 * Implemented here, because Node has no LZ4, and the lz4 program may be missing.
 * @throws BangerError INVALID_INPUT if the data is damaged
 */
export function unpackLz4Legacy(data: Buffer): Buffer {
  const blocks: Buffer[] = [];
  let at = 4;
  while (at + 4 <= data.length) {
    const size = data.readUInt32LE(at);
    if (size === 0 || at + 4 + size > data.length) throw damaged();
    blocks.push(unpackBlock(data.subarray(at + 4, at + 4 + size)));
    at += 4 + size;
  }
  return Buffer.concat(blocks);
}

/** One block: literals and copies of earlier output, until the input ends (doc/lz4_Block_format.md). */
function unpackBlock(input: Buffer): Buffer {
  const output = Buffer.allocUnsafe(BLOCK_BYTES);
  const cursor = { read: 0 };
  let written = 0;
  while (cursor.read < input.length) {
    const token = input[cursor.read++] ?? 0;
    const literals = readLength(input, cursor, token >> 4);
    if (cursor.read + literals > input.length || written + literals > output.length) throw damaged();
    output.set(input.subarray(cursor.read, cursor.read + literals), written);
    written += literals;
    cursor.read += literals;
    if (cursor.read >= input.length) break;
    if (cursor.read + 2 > input.length) throw damaged();
    const distance = input.readUInt16LE(cursor.read);
    cursor.read += 2;
    const length = readLength(input, cursor, token & 15) + 4;
    if (distance === 0 || distance > written || written + length > output.length) throw damaged();
    copyWithin(output, written, distance, length);
    written += length;
  }
  return output.subarray(0, written);
}

/**
 * A length of 15 continues in the following bytes. The position is a member instead of a captured variable: see
 * docs/adr/0005-no-context-cells.md.
 */
function readLength(input: Buffer, cursor: { read: number }, start: number): number {
  let length = start;
  if (start !== 15) return length;
  for (;;) {
    const byte = input[cursor.read++];
    if (byte === undefined) throw damaged();
    length += byte;
    if (byte !== 255) return length;
  }
}

/** A copy may overlap its own output: then it repeats, which a plain block move would not do. */
function copyWithin(output: Buffer, written: number, distance: number, length: number): void {
  if (distance >= length) output.copyWithin(written, written - distance, written - distance + length);
  else for (let i = 0; i < length; i++) output[written + i] = output[written - distance + i] ?? 0;
}

function damaged(): BangerError {
  return new BangerError('INVALID_INPUT', 'The LZ4 data is damaged.');
}
