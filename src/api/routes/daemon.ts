// Routes of the daemon itself: its present work, the abilities of this host, and resource usage.
import { z } from 'zod';
import { bytes, declareRoutes, json, lines, operation } from '../route.ts';
import {
  daemonStatusSchema,
  doctorFixSchema,
  doctorReportSchema,
  openSessionSchema,
  operationEventSchema,
  operationSchema,
  statsSchema,
} from '../schemas.ts';

export const OPERATION_ROUTES = declareRoutes({
  'GET /v1/operations': {
    does: 'lists operations, the newest first',
    reply: json(z.array(operationSchema)),
    errors: [],
  },
  'GET /v1/operations/:id': { does: 'shows an operation', reply: json(operationSchema), errors: [] },
  'GET /v1/operations/:id/events': {
    does: 'follows an operation to its end',
    reply: lines(operationEventSchema, 'one event a line, from the first on, until `end`'),
    errors: ['BUSY'],
  },
  'DELETE /v1/operations/:id': {
    does: 'cancels an operation and rolls it back',
    reply: json(operationSchema, 202),
    errors: [],
  },
});

export const DAEMON_ROUTES = declareRoutes({
  'GET /v1/daemon': { does: 'shows the daemon, and which drivers it has chosen', reply: json(daemonStatusSchema), errors: [] },
  'GET /v1/daemon/build': {
    does: 'shows the build of the daemon cheaply, for clients to check before a change',
    reply: json(z.strictObject({ build: z.string(), version: z.string() })),
    errors: [],
  },
  'GET /v1/daemon/sessions': {
    does: 'shows the commands, logins, copies and followed logs that would end with the daemon',
    reply: json(z.array(openSessionSchema)),
    errors: [],
  },
  'POST /v1/daemon/prepare-shutdown': {
    does: 'suspends or stops all running VMs before the host shuts down, as `on_host_shutdown` says',
    reply: operation,
    errors: [],
  },
  'POST /v1/daemon/shutdown': {
    does: 'stops the daemon; VMs keep running',
    reply: json(z.strictObject({ pid: z.number() }), 202),
    errors: [],
  },
  'GET /v1/stats': { does: 'measures for about 200 ms what VMs use', reply: json(statsSchema), errors: [] },
  'GET /metrics': {
    does: 'measures the same for Prometheus',
    reply: bytes('text/plain', 'numbers for Prometheus'),
    errors: [],
  },
  'GET /v1/doctor': {
    does: 'checks each driver on this host, the host, its VMs and its images',
    reply: json(doctorReportSchema),
    errors: [],
  },
  'POST /v1/doctor/fix': { does: 'makes the safe repairs, and checks again', reply: json(doctorFixSchema), errors: [] },
});
