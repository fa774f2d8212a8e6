import { DAEMON_ROUTES } from '../../api/routes/daemon.ts';
import { served, type ServedRoutes } from '../handlers.ts';
import type { DaemonServices } from '../services.ts';

export type BuildId = { id: string; version: string };

/** The daemon itself and the checks of this host. */
export function daemonHandlers(services: DaemonServices, build: BuildId): ServedRoutes {
  return served(DAEMON_ROUTES, {
    'GET /v1/daemon': () => services.daemon.status(),
    'GET /v1/daemon/build': () => ({ build: build.id, version: build.version }),
    'GET /v1/daemon/sessions': () => services.reach.sessions.list(),
    'POST /v1/daemon/prepare-shutdown': () => services.daemon.prepareShutdown(),
    'POST /v1/daemon/shutdown': () => {
      services.daemon.requestShutdown();
      return { pid: process.pid };
    },
    'GET /v1/stats': () => services.daemon.stats(),
    'GET /metrics': async (_asked, client) => {
      const { text, contentType } = await services.daemon.metrics();
      await client.send({ content: text, mediaType: contentType });
    },
    'GET /v1/doctor': () => services.health.doctor(),
    'POST /v1/doctor/fix': (_asked, { signal }) => services.health.doctorFix(signal),
  });
}
