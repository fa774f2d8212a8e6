// Makes docs/api.md: every route on one page, from the declarations.
import { z } from 'zod';
import { formatSize } from '../../src/lib/size.ts';
import {
  BODY_ERRORS,
  COMMON_ERRORS,
  DEFAULT_BODY_BYTES,
  REFERENCE_ERRORS,
  type Reply,
  type Route,
  type RouteGroup,
} from '../../src/api/route.ts';
import { ERROR_CODES, type ErrorCode } from '../../src/model/errors.ts';

/** @returns the text of docs/api.md as it must be */
export function apiMarkdown(groups: readonly RouteGroup[]): string {
  return `${[HEAD, ...groups.map(section), TAIL].join('\n\n')}\n`;
}

const codes = (list: readonly ErrorCode[]): string => list.map((code) => `\`${code}\``).join(' and ');

const HEAD = `# HTTP API

Made from the declarations of the routes by \`make docs\`; [openapi.json](openapi.json) says the same for programs, and so does the daemon
at \`GET /openapi.json\`. Names such as \`CreateVm\` are schemas in there; what is sent has \`Input\` behind its name.

The daemon speaks HTTP/1.1 (1.0 works) and JSON over the Unix socket \`$BANGER_RUNTIME_DIR/bangerd.sock\`. Every reply carries
\`Banger-Build: <id>\`. JSON that is sent is at most ${formatSize(DEFAULT_BODY_BYTES)}, unless a route says more. Members that a route does not know are refused.

\`:ref\` is a name, an id, or at least the four first digits of one id; so is \`:id\` of an operation, which has no name.

Errors are \`{code, message, remedy?, details?, logPath?, undo?}\` with the status of the code. Decide by the code: the message is for
people. Besides what the tables say, every route can refuse with ${codes(COMMON_ERRORS)}, one with \`:ref\` or \`:id\` with ${codes(REFERENCE_ERRORS)}, and one that takes JSON with ${codes(BODY_ERRORS)}.`;

const TAIL = `## Long work

An operation continues after the reply. \`GET /v1/operations/:id/events\` streams its events from the beginning, whenever you ask. A request
with the header \`Banger-Attach: 1\` ties the operation to the connection of its event stream: when the only watcher goes away before the end,
the operation is cancelled. What it fails with is its \`error\`, where any code can be; a route refuses only what it can tell at once.

The daemon serves 64 followed logs and 1024 event streams at a time; beyond that it answers \`BUSY\`.

## Sessions

\`exec\` and \`tunnel\` are asked for with \`Connection: Upgrade\` and \`Upgrade: banger-frames\`. What follows the 101 are the frames of
[agent-protocol.md](agent-protocol.md). A VM has a limited number of sessions. One that has to wait for another to end is told so with a 102
and \`Banger-Sessions: <number>\`, when its request had the header \`Banger-Wait: tell\`.`;

function section({ title, routes }: RouteGroup): string {
  const rows = Object.entries(routes).map(([name, route]) => {
    const cells = [`\`${name}\``, route.does, takes(route), answers(route.reply), refuses(route.errors)];
    return `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return `## ${title}\n\n| request | what it does | takes | answers | refuses with |\n|---|---|---|---|---|\n${rows.join('\n')}`;
}

function takes({ query, body, upload, maxBodyBytes }: Route): string {
  return [
    ...(query === undefined ? [] : [`query \`${membersOf(query, true)}\``]),
    ...(body === undefined ? [] : [`\`${nameOf(body)}\`${maxBodyBytes === undefined ? '' : ` of at most ${formatSize(maxBodyBytes)}`}`]),
    ...(upload === undefined ? [] : [upload]),
  ].join(', ');
}

function answers(reply: Reply): string {
  const status = reply.status === 200 ? '' : `${reply.status} `;
  switch (reply.kind) {
    case 'json':
    case 'operation':
      return `${status}\`${nameOf(reply.schema)}\``;
    case 'lines':
      return `\`${nameOf(reply.schema)}\`: ${reply.what}`;
    case 'bytes':
      return `${reply.mediaType}: ${reply.what}`;
    case 'nothing':
      return String(reply.status);
    case 'frames':
      return `${status}and frames`;
  }
}

function refuses(errors: readonly ErrorCode[]): string {
  const byStatus = Map.groupBy(errors, (code) => ERROR_CODES[code].status);
  return [...byStatus]
    .toSorted(([one], [other]) => one - other)
    .map(([status, list]) => `${status} ${list.map((code) => `\`${code}\``).join(' ')}`)
    .join(', ');
}

/** @returns the name of the schema, or its members if it has none */
function nameOf(schema: z.ZodType): string {
  const id = z.globalRegistry.get(schema)?.id;
  if (id !== undefined) return id;
  if (schema instanceof z.ZodArray) return `${nameOf(schema.element as z.ZodType)}[]`;
  const inner = innerOf(schema);
  if (inner !== schema) return nameOf(inner);
  return schema instanceof z.ZodObject ? membersOf(schema, false) : schema.type;
}

function membersOf({ shape }: z.ZodObject, withValues: boolean): string {
  const members = Object.entries(shape).map(([name, member]) => {
    const isOptional = (member as z.ZodType).safeParse(undefined).success;
    const values = withValues ? valuesOf(member as z.ZodType) : '';
    return `${name}${isOptional ? '?' : ''}${values === '' ? '' : `: ${values}`}`;
  });
  return `{${members.join(', ')}}`;
}

function valuesOf(schema: z.ZodType): string {
  if (schema instanceof z.ZodEnum) return schema.options.join('|');
  if (schema instanceof z.ZodLiteral) return [...schema.values].join('|');
  const inner = innerOf(schema);
  return inner === schema ? '' : valuesOf(inner);
}

/** @returns the schema without its optional wrapper */
function innerOf(schema: z.ZodType): z.ZodType {
  const isWrapped = schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault;
  return isWrapped ? (schema.unwrap() as z.ZodType) : schema;
}
