import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One line has about 10 KiB; a longer one is from a broken peer, and is dropped. */
const MAX_LINE_BYTES = 256 * 1024;

/** Reads the metrics that the VMM writes as lines of JSON, every minute and on request; only the last line is kept. */
export class MetricsPipe {
  readonly #pipe: Socket;
  #rest = '';
  #next: PromiseWithResolvers<Record<string, unknown>> | undefined;

  constructor(pipe: Socket) {
    this.#pipe = pipe;
    pipe.setEncoding('latin1');
    pipe.on('error', () => undefined);
    pipe.on('data', (text: string) => this.#receive(text));
    pipe.unref();
  }

  /** @returns the next whole line, or undefined if none comes in time; ask the VMM for it after this call */
  next(timeoutMs: number): Promise<Record<string, unknown> | undefined> {
    this.#next ??= Promise.withResolvers();
    return Promise.race([this.#next.promise, sleep(timeoutMs, undefined, { ref: false })]);
  }

  close(): void {
    this.#pipe.destroy();
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, MAX_LINE_BYTES);
    for (const line of lines) this.#line(line);
  }

  /** A pipe without a reader gets full, which cuts a line; what does not parse is the rest of such a line. */
  #line(line: string): void {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    this.#next?.resolve(value as Record<string, unknown>);
    this.#next = undefined;
  }
}
