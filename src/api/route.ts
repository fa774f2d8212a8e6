// How a route is declared. The server, the client's types, OpenAPI and docs/api.md all come from one declaration.
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../model/errors.ts';
import { operationSchema } from './schemas.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Method and path, where `:ref` stands for one part that the caller names. */
export type RouteName = `${Method} /${string}`;

export type JsonReply = { kind: 'json'; status: 200 | 201 | 202; schema: z.ZodType };
/** Work that continues after the reply. With the header Banger-Attach, the daemon cancels it when the client disconnects. */
export type OperationReply = { kind: 'operation'; status: 202; schema: typeof operationSchema };
/** A stream of JSON values, one per line. */
export type LinesReply = { kind: 'lines'; status: 200; schema: z.ZodType; what: string };
export type BytesReply = { kind: 'bytes'; status: 200; mediaType: string; what: string };
export type NothingReply = { kind: 'nothing'; status: 204 };
/** The connection switches from HTTP to the frames of docs/agent-protocol.md. */
export type FramesReply = { kind: 'frames'; status: 101; what: string };
export type Reply = JsonReply | OperationReply | LinesReply | BytesReply | NothingReply | FramesReply;

export type Route = {
  /** What the route does: one sentence without a full stop. */
  does: string;
  query?: z.ZodObject;
  /** Sent as JSON. */
  body?: z.ZodType;
  /** Instead of JSON: what the streamed bytes are; their length is not limited. */
  upload?: string;
  /** Default: DEFAULT_BODY_BYTES. */
  maxBodyBytes?: number;
  reply: Reply;
  /**
   * Error codes of the route, besides those that follow from its path and body (`errorsOf`). An operation that fails later does not count:
   * the operation reports its own error.
   */
  errors: readonly ErrorCode[];
};

export type RouteTable = Readonly<Record<RouteName, Route>>;

/** Routes about one subject, as the documentation groups them. */
export type RouteGroup = { title: string; routes: RouteTable };

/** JSON is small. Files are streamed, without a limit. */
export const DEFAULT_BODY_BYTES = 1024 ** 2;

/** @returns the same table, with the exact type of every member */
export function declareRoutes<const Table extends RouteTable>(table: Table): Table {
  return table;
}

/** Replies with one value. @param status 201 if the request created it, 202 if the work only begins */
export function json<Schema extends z.ZodType>(schema: Schema, status: JsonReply['status'] = 200) {
  return { kind: 'json', status, schema } as const satisfies JsonReply;
}

export const operation = { kind: 'operation', status: 202, schema: operationSchema } as const satisfies OperationReply;

export function lines<Schema extends z.ZodType>(schema: Schema, what: string) {
  return { kind: 'lines', status: 200, schema, what } as const satisfies LinesReply;
}

export function bytes(mediaType: string, what: string) {
  return { kind: 'bytes', status: 200, mediaType, what } as const satisfies BytesReply;
}

export const nothing = { kind: 'nothing', status: 204 } as const satisfies NothingReply;

export const frames = { kind: 'frames', status: 101, what: 'frames of docs/agent-protocol.md' } as const satisfies FramesReply;

/** Names of the parts of a path that the caller fills in. */
export type PathNames<Name extends string> = Name extends `${string}/:${infer Part}/${infer Rest}`
  ? Part | PathNames<`/${Rest}`>
  : Name extends `${string}/:${infer Part}`
    ? Part
    : never;

/** @returns method and path of a route's name */
export function splitName(name: string): { method: Method; path: string } {
  const space = name.indexOf(' ');
  return { method: name.slice(0, space) as Method, path: name.slice(space + 1) };
}

/** @returns the names of the parts of a path that the caller fills in, in order */
export function partsOf(path: string): string[] {
  return [...path.matchAll(/\/:(\w+)/g)].map(([, name = '']) => name);
}

const PART = z.string().max(200);
const PARTS: Readonly<Record<string, z.ZodString>> = {
  ref: PART.describe('name, id, or at least the four first digits of one id'),
  id: z.string().max(64).describe('id, or at least the four first digits of one id'),
};

/** @returns the schema of the parts of a path that the caller fills in; undefined if there are none */
export function paramsOf(path: string): z.ZodObject | undefined {
  const names = partsOf(path);
  return names.length === 0 ? undefined : z.object(Object.fromEntries(names.map((name) => [name, PARTS[name] ?? PART])));
}

/** Errors of every route: an unknown member, or a bug in banger. */
export const COMMON_ERRORS: readonly ErrorCode[] = ['INVALID_INPUT', 'INTERNAL'];
export const REFERENCE_ERRORS: readonly ErrorCode[] = ['NOT_FOUND', 'AMBIGUOUS_REFERENCE'];
export const BODY_ERRORS: readonly ErrorCode[] = ['PAYLOAD_TOO_LARGE'];

/** Routes that take the name of an image, or use the default image. */
export const IMAGE_ERRORS = ['NOT_FOUND', 'AMBIGUOUS_REFERENCE', 'BUNDLE_MISSING', 'BUNDLE_BROKEN'] as const satisfies ErrorCode[];
/** Errors of work for which this host may lack something. */
export const HOST_ERRORS = [
  'PREREQUISITE_MISSING',
  'NO_SPACE',
  'STORAGE_FAILED',
  'CONFIG_INVALID',
  'UNSUPPORTED',
] as const satisfies ErrorCode[];

/** Errors of waking a VM that sleeps because nobody used it. */
export const WAKE_ERRORS = [
  ...HOST_ERRORS,
  'WRONG_STATE',
  'SNAPSHOT_UNUSABLE',
  'VMM_FAILED',
  'NETWORK_FAILED',
  'CANCELLED',
] as const satisfies ErrorCode[];

/** @returns every error code of the route, by status: the declared codes, and those that follow from its path and body */
export function errorsOf(name: string, route: Route): ErrorCode[] {
  const isReference = partsOf(splitName(name).path).some((part) => Object.hasOwn(PARTS, part));
  const codes = new Set([
    ...COMMON_ERRORS,
    ...(isReference ? REFERENCE_ERRORS : []),
    ...(route.body === undefined ? [] : BODY_ERRORS),
    ...route.errors,
  ]);
  return [...codes].toSorted((one, other) => ERROR_CODES[one].status - ERROR_CODES[other].status || (one < other ? -1 : 1));
}
