// Routes into a guest: sessions, files, logs and ports.
import { z } from 'zod';
import type { ErrorCode } from '../../model/errors.ts';
import { AGENT_LIMITS } from '../../model/limits.ts';
import { guestPortSchema, portForwardSchema, portForwardViewSchema } from '../port-schemas.ts';
import { bytes, declareRoutes, frames, json, nothing, WAKE_ERRORS } from '../route.ts';
import { execSchema } from '../schemas.ts';

/** PATH_MAX of Linux counts the final NUL. */
const path = z
  .string()
  .startsWith('/')
  .max(4095)
  .regex(/^[^\0]*$/, 'must be a path without NUL');
const mode = z
  .string()
  .regex(/^[0-7]{3,4}$/, 'must be an octal mode such as 0644')
  .default('0644');
const statSchema = z.strictObject({
  type: z.enum(['file', 'directory', 'symlink', 'other']),
  mode: z.number().describe('permission bits'),
  sizeBytes: z.number(),
});

const logQuery = z.strictObject({
  kind: z.enum(['serial', 'vmm', 'events']).default('serial'),
  follow: z.enum(['0', '1']).default('0'),
  tail: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a number of lines')
    .optional()
    .describe('number of lines from the end; default: all'),
});

const tunnelSchema = z.strictObject({
  target: z
    .string()
    .regex(/^(ssh|[0-9A-Za-z.:[\]-]{1,100}:\d{1,5})$/, 'must be "ssh" or an address and port such as 127.0.0.1:8080')
    .describe('ssh, or an address and port in the guest such as 127.0.0.1:8080'),
});

const forwardQuery = z.strictObject({
  protocol: portForwardSchema.shape.protocol,
  hostAddress: portForwardSchema.shape.hostAddress,
  hostPort: z
    .string()
    .regex(/^\d{1,5}$/, 'must be a port')
    .transform(Number),
});

/** Errors of a running guest that cannot be reached. */
const GUEST = [...WAKE_ERRORS, 'AGENT_UNREACHABLE', 'AGENT_PROTOCOL', 'TIMEOUT'] as const satisfies ErrorCode[];
/** The number of sessions of a VM is limited. */
const SESSION = [...GUEST, 'BUSY'] as const satisfies ErrorCode[];

export const GUEST_ROUTES = declareRoutes({
  'POST /v1/vms/:ref/exec': {
    does: 'runs a command in the guest',
    body: execSchema,
    maxBodyBytes: AGENT_LIMITS.jsonBytes,
    reply: frames,
    errors: [...SESSION, 'GUEST_COMMAND_NOT_FOUND', 'GUEST_COMMAND_NOT_EXECUTABLE', 'GUEST_FILE'],
  },
  'POST /v1/vms/:ref/tunnel': {
    does: 'connects to a port in the guest, or to an SSH server that is started for it',
    body: tunnelSchema,
    maxBodyBytes: AGENT_LIMITS.jsonBytes,
    reply: frames,
    errors: [...SESSION, 'GUEST_COMMAND_NOT_FOUND'],
  },
  'GET /v1/vms/:ref/stat': {
    does: 'shows type, mode and size of a file in the guest',
    query: z.strictObject({ path }),
    reply: json(statSchema),
    errors: [...SESSION, 'GUEST_FILE'],
  },
  'GET /v1/vms/:ref/files': {
    does: 'reads a file of the guest',
    query: z.strictObject({ path }),
    reply: bytes('application/octet-stream', 'the file; X-Mode (octal) and X-Size tell about it'),
    errors: [...SESSION, 'GUEST_FILE'],
  },
  'PUT /v1/vms/:ref/files': {
    does: 'writes a file of the guest',
    query: z.strictObject({ path, mode }),
    upload: 'the bytes of the file with a Content-Length',
    reply: nothing,
    errors: [...SESSION, 'GUEST_FILE'],
  },
  'GET /v1/vms/:ref/logs': {
    does: 'reads or follows a log of a VM',
    query: logQuery,
    reply: bytes('text/plain', 'the log'),
    errors: ['BUSY'],
  },
  'GET /v1/vms/:ref/ports': {
    does: 'lists open ports of the guest, and their addresses on the host',
    reply: json(z.array(guestPortSchema)),
    errors: [...GUEST],
  },
  'GET /v1/vms/:ref/forwards': {
    does: 'lists the forwards to the VM',
    reply: json(z.array(portForwardViewSchema)),
    errors: [],
  },
  'POST /v1/vms/:ref/forwards': {
    does: 'forwards a port of the host to the VM; answers with all forwards',
    body: portForwardSchema,
    reply: json(z.array(portForwardViewSchema)),
    errors: [...WAKE_ERRORS, 'PORT_TAKEN'],
  },
  'DELETE /v1/vms/:ref/forwards': {
    does: 'removes a forward; answers with the others',
    query: forwardQuery,
    reply: json(z.array(portForwardViewSchema)),
    errors: WAKE_ERRORS,
  },
});
