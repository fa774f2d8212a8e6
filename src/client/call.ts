// Requests over the declared routes. The declarations are only types here: at run time a request needs nothing but its name, so a command
// loads neither the declarations nor zod.
import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import { type ApiReply, type ApiRequest, readJson, readNdjson, type Send } from './send.ts';
import type {
  BytesReply,
  FramesReply,
  JsonReply,
  LinesReply,
  NothingReply,
  OperationReply,
  PathNames,
  Reply,
  RouteTable,
} from '../api/route.ts';
import type { Operation } from '../api/schemas.ts';
import { given } from '../lib/given.ts';

/** Names of the routes that reply in this way. */
type NamesOf<Table extends RouteTable, Wanted extends Reply> = {
  [Name in keyof Table]: Table[Name] extends { reply: Wanted } ? Name : never;
}[keyof Table] &
  string;

type PathPart<Name extends string> = [PathNames<Name>] extends [never] ? unknown : { params: Readonly<Record<PathNames<Name>, string>> };
type QueryPart<R> = R extends { query: infer Query extends z.ZodType }
  ? Partial<z.input<Query>> extends z.input<Query>
    ? { query?: z.input<Query> }
    : { query: z.input<Query> }
  : unknown;
type BodyPart<R> = R extends { body: infer Body extends z.ZodType }
  ? undefined extends z.input<Body>
    ? { body?: z.input<Body> }
    : { body: z.input<Body> }
  : R extends { upload: string }
    ? { upload: NonNullable<ApiRequest['upload']> }
    : unknown;
type AttachPart<R> = R extends { reply: OperationReply }
  ? {
      /** Whether the operation is cancelled with this client: docs/api.md. */
      attach?: boolean;
    }
  : unknown;
type Always = { signal?: AbortSignal | undefined; onWait?: ApiRequest['onWait'] };

/** The arguments of a request of this route. */
export type CallOf<Name extends string, R> = PathPart<Name> & QueryPart<R> & BodyPart<R> & AttachPart<R> & Always;
type Arguments<Call> = Always extends Call ? [call?: Call] : [call: Call];

type ValueOf<R> = R extends { reply: { schema: infer Schema extends z.ZodType } } ? z.output<Schema> : never;

/** One function for each way in which routes reply; each takes only routes that reply in that way. */
export type Requests<Table extends RouteTable> = {
  json<Name extends NamesOf<Table, JsonReply>>(name: Name, ...call: Arguments<CallOf<Name, Table[Name]>>): Promise<ValueOf<Table[Name]>>;
  begin<Name extends NamesOf<Table, OperationReply>>(name: Name, ...call: Arguments<CallOf<Name, Table[Name]>>): Promise<Operation>;
  /** Does not read the reply's body. */
  done<Name extends NamesOf<Table, JsonReply | NothingReply>>(name: Name, ...call: Arguments<CallOf<Name, Table[Name]>>): Promise<void>;
  lines<Name extends NamesOf<Table, LinesReply>>(
    name: Name,
    ...call: Arguments<CallOf<Name, Table[Name]>>
  ): Promise<AsyncGenerator<ValueOf<Table[Name]>>>;
  bytes<Name extends NamesOf<Table, BytesReply>>(name: Name, ...call: Arguments<CallOf<Name, Table[Name]>>): Promise<ApiReply>;
  /** @returns the raw stream of frames */
  frames<Name extends NamesOf<Table, FramesReply>>(name: Name, ...call: Arguments<CallOf<Name, Table[Name]>>): Promise<Duplex>;
};

/** @returns functions that send requests to a daemon with these routes; each throws the BangerError of the reply, or DAEMON_UNREACHABLE */
export function createRequests<Table extends RouteTable>(send: Send): Requests<Table> {
  const reply = (name: string, call: AnyCall | undefined): Promise<ApiReply> => send(requestOf(name, call));
  const requests = {
    json: async (name: string, call?: AnyCall) => readJson(await reply(name, call)),
    begin: async (name: string, call?: AnyCall) => readJson(await reply(name, call)),
    done: async (name: string, call?: AnyCall) => void (await reply(name, call)).socket.destroy(),
    lines: async (name: string, call?: AnyCall) => readNdjson(await reply(name, call)),
    bytes: (name: string, call?: AnyCall) => reply(name, call),
    frames: async (name: string, call?: AnyCall) => (await send({ ...requestOf(name, call), upgrade: true })).socket,
  };
  // The one place that trusts the daemon's reply to have the declared type: the daemon validates its replies.
  return requests as unknown as Requests<Table>;
}

type AnyCall = Always & {
  params?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string | undefined>>;
  body?: unknown;
  upload?: ApiRequest['upload'];
  attach?: boolean;
};

/** @param name `GET /v1/vms/:ref` @returns the request, with path and query encoded */
export function requestOf(name: string, { params = {}, query = {}, body, upload, attach, signal, onWait }: AnyCall = {}): ApiRequest {
  const space = name.indexOf(' ');
  const path = name.slice(space + 1).replaceAll(/:(\w+)/g, (_whole, part: string) => encodeURIComponent(params[part] ?? ''));
  const pairs = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${encodeURIComponent(value)}`]));
  return {
    method: name.slice(0, space) as ApiRequest['method'],
    path: pairs.length === 0 ? path : `${path}?${pairs.join('&')}`,
    ...given({ json: body, upload }),
    // Ties an operation to its watcher (docs/api.md).
    ...(attach === true ? { headers: { 'Banger-Attach': '1' } } : {}),
    ...given({ signal, onWait }),
  };
}
