// One HTTP/1 connection of a client, and its connection to the guest. Every request is read as far as its name, which must be the same for
// all; the bytes then pass unchanged, with the kernel's back-pressure and half-closes. After an upgrade, the connection is a tunnel.
import { type Socket, connect } from 'node:net';
import { hostOf } from './authority.ts';
import { LINGER_MS, answerHttp1 } from './http1-answer.ts';
import { PAGES, type Page } from './pages.ts';
import type { RequestHead } from './request-head.ts';
import { type Piece, RequestScanner } from './request-scanner.ts';
import { type FrontView, type Route, routeOf } from './routing.ts';
import { UpgradeWatch } from './upgrade-watch.ts';

/** How long to wait for a running reply before an error that comes after it. */
const LAST_ANSWER_MS = 10_000;
const HEAD_TIMEOUT_MS = 15_000;

/** @param first the bytes that were read from the connection already */
export function serveHttp1(client: Socket, first: Buffer, view: FrontView): void {
  new Http1Connection(client, view).begin(first);
}

class Http1Connection {
  readonly #client: Socket;
  readonly #view: FrontView;
  readonly #requests = new RequestScanner();
  /** The name of all its requests, set by the first one. */
  #host: string | undefined;
  #guest: Socket | undefined;
  /** The head of the last request, for a page instead of the guest's reply. */
  #head: RequestHead | undefined;
  #isAnswering = false;
  #mustDrain = false;
  /** The connection waits for something, and reads no further data before. */
  #isBusy = false;
  /** The guest may answer 101; until it has decided, no further request is read. */
  #upgrade: UpgradeWatch | undefined;
  #isTunnel = false;
  #hasEnded = false;
  #isOver = false;

  constructor(client: Socket, view: FrontView) {
    this.#client = client;
    this.#view = view;
  }

  begin(first: Buffer): void {
    const timer = setTimeout(() => this.#head ?? this.#client.destroy(), HEAD_TIMEOUT_MS);
    this.#client.once('close', () => {
      clearTimeout(timer);
      this.#isOver = true;
      this.#guest?.destroy();
    });
    this.#client.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#client.once('end', () => {
      this.#hasEnded = true;
      this.#pump();
    });
    this.#onData(first);
  }

  #onData(chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#isTunnel) this.#send(chunk);
    else this.#requests.push(chunk);
    this.#pump();
  }

  #isBlocked(): boolean {
    return this.#isBusy || this.#mustDrain || (this.#upgrade !== undefined && !this.#requests.isInBody());
  }

  /** Handles all data that can be handled, and only then reads on. */
  #pump(): void {
    while (!this.#isTunnel && !this.#isOver && !this.#isBlocked()) {
      const piece = this.#requests.next();
      if (piece === undefined) break;
      this.#handle(piece);
    }
    if (this.#isOver) return;
    if (this.#isBlocked()) return void this.#client.pause();
    if (!this.#hasEnded) return void this.#client.resume();
    if (this.#guest === undefined) this.#client.destroy();
    else this.#guest.end();
  }

  #handle(piece: Piece): void {
    if (piece.kind === 'body') this.#send(piece.bytes);
    else if (piece.kind === 'bad') this.#wait(() => this.#refuseBytes(piece.isInBody));
    else if (this.#guest === undefined || piece.head.mayUpgrade || hostOf(piece.head.authority) !== this.#host) {
      this.#wait(() => this.#start(piece.head));
    } else {
      this.#head = piece.head;
      this.#isAnswering = false;
      this.#send(piece.head.bytes);
    }
  }

  #send(bytes: Buffer): void {
    if (this.#guest?.writable === true && !this.#guest.write(bytes)) this.#mustDrain = true;
  }

  #wait(work: () => Promise<void>): void {
    this.#isBusy = true;
    void work()
      .catch(() => this.#client.destroy())
      .finally(() => {
        this.#isBusy = false;
        this.#pump();
      });
  }

  /** Handles the first request, one that may upgrade, or one for another name. */
  async #start(head: RequestHead): Promise<void> {
    const host = hostOf(head.authority);
    if (this.#host !== undefined && host !== this.#host) return this.#misdirected(head);
    // On a connection of its own, so that the guest's first bytes answer this request.
    await this.#finishGuest();
    this.#host = host;
    this.#head = head;
    const route = await routeOf(head, this.#client.localAddress ?? '', this.#view);
    if (this.#isOver) return;
    if ('page' in route) return this.#refuse(route.page);
    this.#connect(route);
    if (head.mayUpgrade) this.#upgrade = new UpgradeWatch();
    this.#send(head.bytes);
  }

  #connect({ address, port, vm, guestPort }: Route): void {
    const client = this.#client;
    const guest = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
    this.#guest = guest;
    this.#isAnswering = false;
    let hasAnswered = false;
    const isCurrent = (): boolean => this.#guest === guest && !this.#isOver;
    guest.on('data', (chunk: Buffer) => {
      hasAnswered = true;
      this.#isAnswering = true;
      if (this.#upgrade !== undefined && isCurrent()) this.#watch(chunk);
    });
    guest.pipe(client, { end: false });
    guest.once('error', () => {
      if (!isCurrent()) return;
      // The forwarder accepts before it learns that the guest does not.
      if (hasAnswered) return void client.resetAndDestroy();
      this.#guest = undefined;
      void this.#refuse(PAGES.closed(vm, guestPort));
    });
    guest.on('drain', () => {
      this.#mustDrain = false;
      this.#pump();
    });
    guest.once('end', () => {
      if (isCurrent()) client.end();
    });
    guest.once('close', () => {
      if (isCurrent()) endSoftly(client);
    });
  }

  #watch(chunk: Buffer): void {
    const decision = this.#upgrade?.hear(chunk);
    if (decision === undefined) return;
    this.#upgrade = undefined;
    if (decision === 'upgraded') {
      this.#isTunnel = true;
      const rest = this.#requests.rest();
      if (rest.length > 0) this.#send(rest);
    }
    this.#pump();
  }

  /** Lets the guest finish its reply. */
  async #finishGuest(): Promise<void> {
    const guest = this.#guest;
    this.#guest = undefined;
    this.#mustDrain = false;
    if (guest === undefined || guest.destroyed) return;
    const closed = new Promise<void>((resolve) => void guest.once('close', () => resolve()));
    // Some servers give up when the client stops sending, so wait until the reply has begun.
    if (!this.#isAnswering) {
      const begun = new Promise<void>((resolve) => void guest.once('data', () => resolve()));
      await within(LAST_ANSWER_MS, begun, closed);
    }
    guest.end();
    await within(LINGER_MS, closed);
    guest.destroy();
  }

  /**
   * A client that takes this server for a proxy uses one connection for all names; if it is closed without a reply, the client asks again
   * on another.
   */
  async #misdirected(head: RequestHead): Promise<void> {
    if (!head.isForProxy) return this.#refuse(PAGES.misdirected());
    await this.#finishGuest();
    this.#isOver = true;
    endSoftly(this.#client);
  }

  /** A guest that waits for the rest of a body gets no end that looks like its end. */
  #refuseBytes(isInBody: boolean): Promise<void> {
    if (isInBody) this.#guest?.resetAndDestroy();
    if (isInBody && this.#isAnswering) this.#client.destroy();
    return this.#refuse(PAGES.bad());
  }

  async #refuse(page: Page): Promise<void> {
    await this.#finishGuest();
    if (this.#isOver) return;
    this.#isOver = true;
    answerHttp1(this.#client, page, this.#head);
  }
}

/** Returns with the first of them, or after that time. */
async function within(timeMs: number, ...events: Promise<void>[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeMs);
  await Promise.race([...events, promise]);
  clearTimeout(timer);
}

/** Sends all pending data; if the client continues to send, its data is ignored for a short time only. */
function endSoftly(client: Socket): void {
  const linger = (): void => void setTimeout(() => client.destroy(), LINGER_MS).unref();
  if (client.writableFinished) linger();
  else client.end(linger);
}
