// Routes of the daemon itself: what it does at the moment, what it can do on this host, and how much it uses.
import { z } from 'zod';
import { bytes, declareRoutes, json, lines } from '../route.ts';
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
    does: 'shows what goes on and what has ended, the newest first',
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
    does: 'cancels an operation; what it has done is undone',
    reply: json(operationSchema, 202),
    errors: [],
  },
});

export const DAEMON_ROUTES = declareRoutes({
  'GET /v1/daemon': { does: 'shows the daemon, and which drivers it has chosen', reply: json(daemonStatusSchema), errors: [] },
  'GET /v1/daemon/build': {
    does: 'tells which build answers, at no cost: what a client asks before it changes something',
    reply: json(z.strictObject({ build: z.string(), version: z.string() })),
    errors: [],
  },
  'GET /v1/daemon/sessions': {
    does: 'shows the commands, logins, copies and followed logs that would end with the daemon',
    reply: json(z.array(openSessionSchema)),
    errors: [],
  },
  'POST /v1/daemon/shutdown': {
    does: 'ends the daemon; VMs go on',
    reply: json(z.strictObject({ pid: z.number() }), 202),
    errors: [],
  },
  'GET /v1/stats': { does: 'measures for some 200 ms what VMs use', reply: json(statsSchema), errors: [] },
  'GET /metrics': {
    does: 'measures the same for Prometheus',
    reply: bytes('text/plain', 'numbers for Prometheus'),
    errors: [],
  },
  'GET /v1/doctor': {
    does: 'looks what each driver can do on this host, and what is wrong with host, VMs and images',
    reply: json(doctorReportSchema),
    errors: [],
  },
  'POST /v1/doctor/fix': { does: 'mends what can be mended, and looks again', reply: json(doctorFixSchema), errors: [] },
});
