import { BangerError } from '../../model/errors.ts';

/** Each block of the legacy frame holds at most this much when unpacked (doc/lz4_Frame_format.md, "Legacy frame"). */
const BLOCK_BYTES = 8 * 1024 ** 2;

/**
 * Unpacks LZ4's legacy frame, the one in which kernels are compressed: a magic number, then blocks with their compressed size before them.
 * @throws BangerError INVALID_INPUT when the data is damaged
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

/** One block: literals and copies of what was written before, until the input ends (doc/lz4_Block_format.md). */
function unpackBlock(input: Buffer): Buffer {
  const output = Buffer.allocUnsafe(BLOCK_BYTES);
  let read = 0;
  let written = 0;
  const readLength = (start: number): number => {
    let length = start;
    if (start !== 15) return length;
    for (;;) {
      const byte = input[read++];
      if (byte === undefined) throw damaged();
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (read < input.length) {
    const token = input[read++] ?? 0;
    const literals = readLength(token >> 4);
    if (read + literals > input.length || written + literals > output.length) throw damaged();
    written += input.copy(output, written, read, read + literals);
    read += literals;
    if (read >= input.length) break;
    if (read + 2 > input.length) throw damaged();
    const distance = input.readUInt16LE(read);
    read += 2;
    const length = readLength(token & 15) + 4;
    if (distance === 0 || distance > written || written + length > output.length) throw damaged();
    copyWithin(output, written, distance, length);
    written += length;
  }
  return output.subarray(0, written);
}

/** A copy may overlap what it writes: then it repeats, which a plain block move would not do. */
function copyWithin(output: Buffer, written: number, distance: number, length: number): void {
  if (distance >= length) output.copyWithin(written, written - distance, written - distance + length);
  else for (let i = 0; i < length; i++) output[written + i] = output[written - distance + i] ?? 0;
}

function damaged(): BangerError {
  return new BangerError('INVALID_INPUT', 'The LZ4 data is damaged.');
}
