import { z } from 'zod';
import { daemonStatusSchema, doctorFixSchema, doctorReportSchema, openSessionSchema, statsSchema } from '../../api/schemas.ts';
import { clientSignal } from '../request-signal.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';

export type BuildId = { id: string; version: string };

/** The daemon itself and the checks of this host. */
export function daemonRoutes(server: TypedServer, services: DaemonServices, build: BuildId): void {
  server.get('/v1/daemon', { schema: { response: { 200: daemonStatusSchema } } }, () => services.status());

  const buildSchema = z.strictObject({ build: z.string(), version: z.string() });
  server.get('/v1/daemon/build', { schema: { response: { 200: buildSchema } } }, () => ({ build: build.id, version: build.version }));

  server.get('/v1/daemon/sessions', { schema: { response: { 200: z.array(openSessionSchema) } } }, () => services.openSessions.list());

  server.post('/v1/daemon/shutdown', { schema: { response: { 202: z.strictObject({ pid: z.number() }) } } }, (_request, reply) => {
    services.requestShutdown();
    reply.status(202);
    return { pid: process.pid };
  });

  server.get('/v1/stats', { schema: { response: { 200: statsSchema } } }, () => services.stats());

  server.get('/metrics', { schema: {} }, async (_request, reply) => {
    const { text, contentType } = await services.metrics();
    return reply.type(contentType).send(text);
  });

  server.get('/v1/doctor', { schema: { response: { 200: doctorReportSchema } } }, (_request, reply) =>
    services.doctor(clientSignal(reply)),
  );
  server.post('/v1/doctor/fix', { schema: { response: { 200: doctorFixSchema } } }, (_request, reply) =>
    services.doctorFix(clientSignal(reply)),
  );
}
