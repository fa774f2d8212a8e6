// Handlers of routes. Their types follow from the declaration, so a handler cannot reply with anything that is not declared.
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

/** An uploaded file; its bytes are read once. */
export type Upload = { content: Readable; sizeBytes: number };

/** The client's request, validated by the declaration. */
export type Asked<Name extends string, R extends Route> = {
  params: Readonly<Record<PathNames<Name>, string>>;
  query: R extends { query: infer Query extends z.ZodType } ? z.output<Query> : undefined;
  body: R extends { body: infer Body extends z.ZodType } ? z.output<Body> : R extends { upload: string } ? Upload : undefined;
};

/** The client at the other end. */
export type Client = {
  /** Fires if the client disconnects before it has its reply. */
  readonly signal: AbortSignal;
  /** Calls back once its connection has sent the whole reply, or has closed before. */
  onClose(callback: () => void): void;
};

/** A client that gets bytes. */
export type BytesClient = Client & {
  /** @returns once it has received all bytes, or has disconnected */
  send(bytes: Bytes): Promise<void>;
};

/** A client that leaves HTTP. */
export type FramesClient = Client & {
  /** Tells a client that asked for it that it has to wait for one of this many sessions to end. */
  tellWaiting(sessions: number): void;
  /**
   * Joins the client to a session in the guest, until either ends.
   * @param whyLost returns the reason if the session is lost; default: the guest's end of it is gone
   */
  join(session: FrameSession, whyLost?: () => string | undefined): Promise<void>;
};

/** JSON text of the declared shape. */
export class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Bytes = {
  content: Readable | string;
  /** Default: the declared status. */
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

/** A handler of any route; the declaration has checked its arguments and its reply. */
export type AnyHandler = (asked: { params: object; query: unknown; body: unknown }, client: Client) => unknown;

/** Routes and their handlers. */
export type ServedRoutes = { routes: RouteTable; handlers: Readonly<Record<string, AnyHandler>> };

/** @returns both together; there must be exactly one handler for each route */
export function served<Table extends RouteTable>(routes: Table, handlers: Handlers<Table>): ServedRoutes {
  // One type for all of them: the parameter's type has checked the arguments and reply of each.
  return { routes, handlers: handlers as unknown as ServedRoutes['handlers'] };
}
