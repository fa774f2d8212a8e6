// Finds where requests begin and end in the data of an HTTP/1 client. Bodies pass unchanged.
import { type RequestHead, parseHead } from './request-head.ts';

/** bad: the following data has more than one reading as HTTP. */
export type Piece = { kind: 'head'; head: RequestHead } | { kind: 'body'; bytes: Buffer } | { kind: 'bad'; isInBody: boolean };

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_CHUNK_LINE_BYTES = 4096;
const CRLF = Buffer.from('\r\n');
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LF = 10;
/** The size of a chunk, and extensions, which have no meaning here (RFC 9112 §7.1). */
const CHUNK_LINE = /^([0-9a-fA-F]{1,12})[ \t]*(?:;[^\r\n\0]*)?$/;

/** head: before a request. bytes: `left` bytes of its body. The others are the parts of a chunked body. */
type State = 'head' | 'bytes' | 'chunk-line' | 'chunk' | 'chunk-end' | 'trailers' | 'bad';

export class RequestScanner {
  #state: State = 'head';
  #left = 0;
  #buffer: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
  }

  /** @returns whether the body of a request is incomplete */
  isInBody(): boolean {
    return this.#state !== 'head' && this.#state !== 'bad';
  }

  /** @returns pushed data that belongs to no piece yet; for use after the connection has left HTTP */
  rest(): Buffer {
    return this.#take(this.#buffer.length);
  }

  /** @returns undefined if more data must be pushed first */
  next(): Piece | undefined {
    switch (this.#state) {
      case 'head':
        return this.#head();
      case 'bytes':
        return this.#data('head');
      case 'chunk':
        return this.#data('chunk-end');
      case 'chunk-line':
        return this.#line(MAX_CHUNK_LINE_BYTES, (line) => {
          const [, size] = CHUNK_LINE.exec(line) ?? [];
          if (size === undefined) return 'bad';
          this.#left = Number.parseInt(size, 16);
          return this.#left === 0 ? 'trailers' : 'chunk';
        });
      case 'chunk-end':
        return this.#line(0, () => 'chunk-line');
      case 'trailers':
        return this.#line(MAX_HEAD_BYTES, (line) => (line === '' ? 'head' : /^[^\s:]+:[^\r\n\0]*$/.test(line) ? 'trailers' : 'bad'));
      case 'bad':
        return { kind: 'bad', isInBody: false };
    }
  }

  #head(): Piece | undefined {
    // RFC 9112 §2.2: an empty line before a request is not part of it.
    while (this.#buffer.length >= 2 && this.#buffer.compare(CRLF, 0, 2, 0, 2) === 0) this.#take(2);
    const end = this.#buffer.indexOf(END_OF_HEAD);
    if (end < 0) {
      const stray = this.#buffer.indexOf(LF);
      const isBroken = stray === 0 || (stray > 0 && this.#buffer[stray - 1] !== CRLF[0]);
      return isBroken || this.#buffer.length > MAX_HEAD_BYTES ? this.#bad() : undefined;
    }
    const head = parseHead(this.#take(end + END_OF_HEAD.length));
    if (head === undefined) return this.#bad();
    if (head.body === 'chunked') this.#state = 'chunk-line';
    else if (head.body > 0) this.#state = 'bytes';
    if (typeof head.body === 'number') this.#left = head.body;
    return { kind: 'head', head };
  }

  #data(after: State): Piece | undefined {
    if (this.#buffer.length === 0) return undefined;
    const bytes = this.#take(Math.min(this.#left, this.#buffer.length));
    this.#left -= bytes.length;
    if (this.#left === 0) this.#state = after;
    return { kind: 'body', bytes };
  }

  /** A line of at most this many bytes, and the state after it. */
  #line(maxBytes: number, follow: (line: string) => State): Piece | undefined {
    const end = this.#buffer.indexOf(CRLF);
    const length = end < 0 ? this.#buffer.length - 1 : end;
    if (length > maxBytes) return this.#bad();
    if (end < 0) return undefined;
    const bytes = this.#take(end + CRLF.length);
    this.#state = follow(bytes.toString('latin1', 0, end));
    return this.#state === 'bad' ? { kind: 'bad', isInBody: true } : { kind: 'body', bytes };
  }

  #bad(): Piece {
    const isInBody = this.isInBody();
    this.#state = 'bad';
    return { kind: 'bad', isInBody };
  }

  #take(length: number): Buffer {
    const taken = length === this.#buffer.length ? this.#buffer : this.#buffer.subarray(0, length);
    this.#buffer = length === this.#buffer.length ? Buffer.alloc(0) : this.#buffer.subarray(length);
    return taken;
  }
}
