// What serves a route: the types follow from its declaration, so that a handler cannot answer what was not declared.
import type { Readable } from 'node:stream';
import type { z } from 'zod';
import type {
  BytesReply,
  FramesReply,
  JsonReply,
  LinesReply,
  NothingReply,
  OperationReply,
  PathNames,
  Route,
  RouteTable,
} from '../api/route.ts';
import type { FrameSession } from '../guest/frame-session.ts';
import type { OperationRecord } from '../model/operation.ts';

/** A file that comes in; its bytes are read once. */
export type Upload = { content: Readable; sizeBytes: number };

/** What the client asked for, as the declaration has validated it. */
export type Asked<Name extends string, R extends Route> = {
  params: Readonly<Record<PathNames<Name>, string>>;
  query: R extends { query: infer Query extends z.ZodType } ? z.output<Query> : undefined;
  body: R extends { body: infer Body extends z.ZodType } ? z.output<Body> : R extends { upload: string } ? Upload : undefined;
};

/** The client at the other end. */
export type Client = {
  /** Fires when it goes away before it has its answer. */
  readonly signal: AbortSignal;
  /** Calls back once when its connection has had the whole answer, or has ended before. */
  onClose(callback: () => void): void;
};

/** One that is sent bytes. */
export type BytesClient = Client & {
  /** @returns when it has had them all, or has gone away */
  send(bytes: Bytes): Promise<void>;
};

/** One that leaves HTTP. */
export type FramesClient = Client & {
  /** Tells it that it has to wait for one of so many sessions to end, if it wants to be told. */
  tellWaiting(sessions: number): void;
  /** Joins it to a session in the guest, until either ends. */
  join(session: FrameSession): Promise<void>;
};

/** JSON that is text already, of the declared shape. */
export class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Bytes = {
  content: Readable | string;
  /** Default: what is declared. */
  mediaType?: string;
  headers?: Readonly<Record<string, string | number>>;
};

type Answer<R extends Route> = R['reply'] extends JsonReply
  ? z.input<R['reply']['schema']> | JsonText
  : R['reply'] extends OperationReply
    ? OperationRecord
    : R['reply'] extends LinesReply
      ? AsyncIterable<z.input<R['reply']['schema']>>
      : R['reply'] extends BytesReply | NothingReply | FramesReply
        ? void
        : never;

type ClientFor<R extends Route> = R['reply'] extends FramesReply ? FramesClient : R['reply'] extends BytesReply ? BytesClient : Client;

export type Handler<Name extends string, R extends Route> = (asked: Asked<Name, R>, client: ClientFor<R>) => Answer<R> | Promise<Answer<R>>;

/** One handler for each route of the table. */
export type Handlers<Table extends RouteTable> = {
  readonly [Name in keyof Table & string]: Handler<Name, Table[Name] & Route>;
};

/** A handler of any route; what it takes and answers was checked where it was declared. */
export type AnyHandler = (asked: { params: object; query: unknown; body: unknown }, client: Client) => unknown;

/** Routes with what serves them. */
export type ServedRoutes = { routes: RouteTable; handlers: Readonly<Record<string, AnyHandler>> };

/** @returns the two together; the handlers must be those of exactly these routes */
export function served<Table extends RouteTable>(routes: Table, handlers: Handlers<Table>): ServedRoutes {
  // One type for all of them: what each takes and answers was checked by the parameter's type.
  return { routes, handlers: handlers as unknown as ServedRoutes['handlers'] };
}
