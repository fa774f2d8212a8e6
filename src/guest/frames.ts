import { BangerError } from '../model/errors.ts';
import { FRAME } from './protocol.ts';

/** docs/agent-protocol.md: a two-byte length. */
export const MAX_PAYLOAD_BYTES = 65_535;
const HEADER_BYTES = 4;

export type Frame = { type: number; payload: Buffer };

/** @returns one frame on the wire. @throws RangeError when the payload does not fit one frame */
export function encodeFrame(type: number, payload: Uint8Array = new Uint8Array()): Buffer {
  if (payload.length > MAX_PAYLOAD_BYTES) throw new RangeError(`a frame holds at most ${MAX_PAYLOAD_BYTES} bytes`);
  const frame = Buffer.alloc(HEADER_BYTES + payload.length);
  frame[0] = type;
  frame.writeUInt16BE(payload.length, 2);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/** @returns the RESIZE frame of a terminal of this size. */
export function encodeResize(rows: number, columns: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt16BE(rows, 0);
  payload.writeUInt16BE(columns, 2);
  return encodeFrame(FRAME.resize, payload);
}

/** Turns a byte stream of any fragmentation into frames; never holds more than one frame and one chunk. */
export class FrameDecoder {
  readonly #allowed: ReadonlySet<number>;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #neededBytes = HEADER_BYTES;

  /** @param allowed frame types that the other side may send */
  constructor(allowed: Iterable<number>) {
    this.#allowed = new Set(allowed);
  }

  /** Bytes of an unfinished frame. */
  get pendingBytes(): number {
    return this.#restBytes;
  }

  /**
   * @returns the frames that `chunk` completes
   * @throws AGENT_PROTOCOL on a type that is not allowed here, or a second byte other than zero
   */
  push(chunk: Buffer): Frame[] {
    this.#rest.push(chunk);
    this.#restBytes += chunk.length;
    // Joining only when a frame is whole keeps a stream of single bytes linear.
    if (this.#restBytes < this.#neededBytes) return [];
    const bytes = this.#rest.length === 1 ? chunk : Buffer.concat(this.#rest);
    const frames: Frame[] = [];
    let at = 0;
    this.#neededBytes = HEADER_BYTES;
    while (bytes.length - at >= HEADER_BYTES) {
      const length = this.#frameLength(bytes, at);
      if (bytes.length - at < length) {
        this.#neededBytes = length;
        break;
      }
      frames.push({ type: bytes[at] ?? 0, payload: bytes.subarray(at + HEADER_BYTES, at + length) });
      at += length;
    }
    this.#rest = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#restBytes = bytes.length - at;
    return frames;
  }

  #frameLength(bytes: Buffer, at: number): number {
    const type = bytes[at] ?? 0;
    if (!this.#allowed.has(type) || bytes[at + 1] !== 0) {
      throw new BangerError('AGENT_PROTOCOL', 'the guest agent sent a malformed frame', { details: { type, reserved: bytes[at + 1] } });
    }
    return HEADER_BYTES + bytes.readUInt16BE(at + 2);
  }
}
