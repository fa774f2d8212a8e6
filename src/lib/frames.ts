// Frames on a byte stream: type (1), zero (1), length (2, big-endian), payload. See docs/agent-protocol.md.

export const FRAME_TYPES = { data: 0, stderr: 1, eof: 2, resize: 3, signal: 4, exit: 5, close: 6 } as const;
export type FrameName = keyof typeof FRAME_TYPES;
export type Frame = { type: number; payload: Buffer };

export const FRAME_HEADER_BYTES = 4;
/** The largest number in the two length bytes. */
export const MAX_FRAME_PAYLOAD_BYTES = 65_535;

/** The peer sent something that is not a frame; nothing after it can be decoded. */
export class FrameProblem extends Error {
  override readonly name = 'FrameProblem';
}

/**
 * @returns the bytes of one frame
 * @throws FrameProblem if the payload does not fit into a frame
 */
export function encodeFrame(name: FrameName, payload: Uint8Array = new Uint8Array(0)): Buffer {
  if (payload.length > MAX_FRAME_PAYLOAD_BYTES) throw new FrameProblem(`a frame cannot carry ${payload.length} bytes`);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  frame[0] = FRAME_TYPES[name];
  frame[1] = 0;
  frame.writeUInt16BE(payload.length, 2);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** @returns `bytes` as DATA (or STDERR) frames, as many as needed; none for no bytes */
export function encodeData(bytes: Uint8Array, name: 'data' | 'stderr' = 'data'): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += MAX_FRAME_PAYLOAD_BYTES) {
    frames.push(encodeFrame(name, bytes.subarray(at, at + MAX_FRAME_PAYLOAD_BYTES)));
  }
  return frames.length === 1 && frames[0] !== undefined ? frames[0] : Buffer.concat(frames);
}

/** @returns a RESIZE frame; both numbers are limited to what its fields hold */
export function encodeResize(rows: number, columns: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt16BE(Math.min(Math.max(rows, 1), 65_535), 0);
  payload.writeUInt16BE(Math.min(Math.max(columns, 1), 65_535), 2);
  return encodeFrame('resize', payload);
}

/** @returns a SIGNAL frame for the Linux signal number */
export function encodeSignal(signalNumber: number): Buffer {
  return encodeFrame('signal', Buffer.from([signalNumber & 0xff]));
}

/** @returns an EXIT frame: the status (128+n after signal n), and the reason if the command could not run */
export function encodeExit(status: number, reason = ''): Buffer {
  const text = Buffer.from(reason, 'utf8').subarray(0, 4096);
  const payload = Buffer.alloc(4 + text.length);
  payload.writeInt32BE(status, 0);
  text.copy(payload, 4);
  return encodeFrame('exit', payload);
}

/**
 * @returns the status and the reason of an EXIT frame; the reason is the peer's text and untrusted
 * @throws FrameProblem if the payload is shorter than a status
 */
export function decodeExit(payload: Buffer): { status: number; reason: string } {
  if (payload.length < 4) throw new FrameProblem(`an EXIT frame of ${payload.length} bytes`);
  return { status: payload.readInt32BE(0), reason: payload.toString('utf8', 4, Math.min(payload.length, 4100)) };
}

/** For one incomplete frame: a chunk costs about 200 bytes besides its own. */
const MAX_PIECES = 256;

/** Splits a byte stream into frames, however it arrives. Holds at most one incomplete frame (64 KiB) and one chunk. */
export class FrameDecoder {
  readonly #allowed: ReadonlySet<number>;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #neededBytes = FRAME_HEADER_BYTES;

  /** @param allowed what the peer may send; default everything */
  constructor(allowed: readonly FrameName[] = Object.keys(FRAME_TYPES) as FrameName[]) {
    this.#allowed = new Set(allowed.map((name) => FRAME_TYPES[name]));
  }

  /** The bytes of an incomplete frame; if there are any at the end of a stream, it was cut off. */
  get pendingBytes(): number {
    return this.#restBytes;
  }

  /**
   * @returns the frames that `chunk` completes; payloads may share memory with it
   * @throws FrameProblem for a type that is not allowed, or a second byte that is not zero
   */
  push(chunk: Buffer): Frame[] {
    this.#rest.push(chunk);
    this.#restBytes += chunk.length;
    // Joining chunks only once a frame is complete keeps a stream of single bytes linear; joining sometimes in between limits their memory.
    if (this.#restBytes < this.#neededBytes) {
      if (this.#rest.length >= MAX_PIECES) this.#rest = [Buffer.concat(this.#rest)];
      return [];
    }
    const bytes = this.#rest.length === 1 ? chunk : Buffer.concat(this.#rest);
    const frames: Frame[] = [];
    let at = 0;
    this.#neededBytes = FRAME_HEADER_BYTES;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const length = this.#frameLength(bytes, at);
      if (bytes.length - at < length) {
        this.#neededBytes = length;
        break;
      }
      frames.push({ type: bytes.readUInt8(at), payload: bytes.subarray(at + FRAME_HEADER_BYTES, at + length) });
      at += length;
    }
    this.#rest = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#restBytes = bytes.length - at;
    return frames;
  }

  #frameLength(bytes: Buffer, at: number): number {
    if (!this.#allowed.has(bytes.readUInt8(at)) || bytes[at + 1] !== 0) {
      throw new FrameProblem(`not a frame: ${bytes.toString('hex', at, at + FRAME_HEADER_BYTES)}`);
    }
    return FRAME_HEADER_BYTES + bytes.readUInt16BE(at + 2);
  }
}
