// How a route is declared. The server, the client's types, OpenAPI and docs/api.md all come from one declaration.
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../model/errors.ts';
import { operationSchema } from './schemas.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Method and path, where `:ref` stands for one part that the caller names. */
export type RouteName = `${Method} /${string}`;

export type JsonReply = { kind: 'json'; status: 200 | 201 | 202; schema: z.ZodType };
/** Work that continues after the answer; with Banger-Attach it is cancelled when the client leaves. */
export type OperationReply = { kind: 'operation'; status: 202; schema: typeof operationSchema };
/** A stream of JSON, one value a line. */
export type LinesReply = { kind: 'lines'; status: 200; schema: z.ZodType; what: string };
export type BytesReply = { kind: 'bytes'; status: 200; mediaType: string; what: string };
export type NothingReply = { kind: 'nothing'; status: 204 };
/** The connection leaves HTTP for the frames of docs/agent-protocol.md. */
export type FramesReply = { kind: 'frames'; status: 101; what: string };
export type Reply = JsonReply | OperationReply | LinesReply | BytesReply | NothingReply | FramesReply;

export type Route = {
  /** What it is for: one sentence without a full stop. */
  does: string;
  query?: z.ZodObject;
  /** Sent as JSON. */
  body?: z.ZodType;
  /** In place of JSON: what the bytes are that are streamed in, of any length. */
  upload?: string;
  /** Default: DEFAULT_BODY_BYTES. */
  maxBodyBytes?: number;
  reply: Reply;
  /**
   * What it refuses with, besides what its shape says already (`errorsOf`). What an operation fails with later is not the route's: it is
   * in the operation, and can be anything.
   */
  errors: readonly ErrorCode[];
};

export type RouteTable = Readonly<Record<RouteName, Route>>;

/** Routes about one thing, as people read them. */
export type RouteGroup = { title: string; routes: RouteTable };

/** JSON is small; files come as streams, which have no limit. */
export const DEFAULT_BODY_BYTES = 1024 ** 2;

/** @returns the table as it is, with every member's own type. */
export function declareRoutes<const Table extends RouteTable>(table: Table): Table {
  return table;
}

/** Answers with one value. @param status 201 where something was made by it, 202 where it only begins */
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

/** @returns the schema of what the caller fills into a path; undefined when there is nothing to fill in */
export function paramsOf(path: string): z.ZodObject | undefined {
  const names = partsOf(path);
  return names.length === 0 ? undefined : z.object(Object.fromEntries(names.map((name) => [name, PARTS[name] ?? PART])));
}

/** What any route may refuse with: a member that it does not know, or a fault of ours. */
export const COMMON_ERRORS: readonly ErrorCode[] = ['INVALID_INPUT', 'INTERNAL'];
export const REFERENCE_ERRORS: readonly ErrorCode[] = ['NOT_FOUND', 'AMBIGUOUS_REFERENCE'];
export const BODY_ERRORS: readonly ErrorCode[] = ['PAYLOAD_TOO_LARGE'];

/** Where another image is named, or the default one is taken. */
export const IMAGE_ERRORS = ['NOT_FOUND', 'AMBIGUOUS_REFERENCE', 'BUNDLE_MISSING', 'BUNDLE_BROKEN'] as const satisfies ErrorCode[];
/** What a host may lack for work that it has to do. */
export const HOST_ERRORS = [
  'PREREQUISITE_MISSING',
  'NO_SPACE',
  'STORAGE_FAILED',
  'CONFIG_INVALID',
  'UNSUPPORTED',
] as const satisfies ErrorCode[];

/** @returns every code that the route may refuse with, by status: what it declares, and what follows from its path and body */
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
