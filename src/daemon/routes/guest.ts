import { constants } from 'node:os';
import { Readable } from 'node:stream';
import { GUEST_ROUTES } from '../../api/routes/guest.ts';
import type { AgentClient } from '../../guest/agent-client.ts';
import type { FrameSession } from '../../guest/frame-session.ts';
import { followFile } from '../../lib/follow-file.ts';
import { beginOfTail } from '../../lib/log-tail.ts';
import { addForward, removeForward } from '../../lifecycle/vm/forwards.ts';
import { noSshServer } from '../../lifecycle/vm/wait.ts';
import { wakeForUse } from '../../lifecycle/vm/wake.ts';
import { BangerError } from '../../model/errors.ts';
import { resolveReference } from '../../model/reference.ts';
import type { Vm } from '../../model/vm.ts';
import { createFollowers, MOST_LOG_FOLLOWERS } from '../followers.ts';
import { type Client, type FramesClient, served, type ServedRoutes } from '../handlers.ts';
import type { DaemonServices } from '../services.ts';
import { withSession } from '../sessions.ts';
import { forwardViews, portViews } from './ports.ts';

/** Access to the guest: sessions, files, logs and ports. */
export function guestHandlers(services: DaemonServices): ServedRoutes {
  const resolve = ({ ref }: { ref: string }): Vm => resolveReference('VM', services.vms.records.seen, ref);
  const follows = createFollowers(MOST_LOG_FOLLOWERS, 'logs');
  /** From the request to the last byte of its reply. */
  const copying = (params: { ref: string }, client: Client): Vm => {
    const vm = resolve(params);
    client.onClose(services.reach.sessions.begin(vm.name, 'vm cp'));
    return vm;
  };
  return served(GUEST_ROUTES, {
    'POST /v1/vms/:ref/exec': ({ params, body }, client) => {
      const asked = withoutUndefined(body);
      const what = `vm exec: ${asked.argv.join(' ').slice(0, 200)}`;
      return holdSession(services, { vm: resolve(params), what, client }, (agent) => agent.openExec(asked, { signal: client.signal }));
    },
    'POST /v1/vms/:ref/tunnel': ({ params, body: { target } }, client) => {
      const vm = resolve(params);
      const what = target === 'ssh' ? 'vm ssh' : `connection to ${target}`;
      return holdSession(services, { vm, what, client }, (agent) => openTunnel(agent, vm.name, target, client));
    },
    'GET /v1/vms/:ref/stat': ({ params, query }, { signal }) =>
      withSession(services, resolve(params), ({ agent }) => agent.stat(query.path, { signal })),
    'GET /v1/vms/:ref/files': ({ params, query }, client) =>
      withSession(services, copying(params, client), async ({ agent }) => {
        const { content, sizeBytes, mode } = await agent.getFile(query.path, { signal: client.signal });
        await client.send({ content, headers: { 'content-length': sizeBytes, 'x-size': sizeBytes, 'x-mode': mode.toString(8) } });
      }),
    'PUT /v1/vms/:ref/files': ({ params, query, body }, client) =>
      withSession(services, copying(params, client), ({ agent }) =>
        agent.putFile(query.path, { ...body, mode: Number.parseInt(query.mode, 8) }, { signal: client.signal }),
      ),
    'GET /v1/vms/:ref/logs': async ({ params, query }, client) => {
      const vm = resolve(params);
      const paths = services.vms.pathsOf(vm);
      const path = { serial: paths.serialLog, vmm: paths.vmmLog, events: paths.eventLog }[query.kind];
      const from = query.tail === undefined ? 0 : (await beginOfTail(path, Number(query.tail))).begin;
      const follow = query.follow === '1';
      if (follow) {
        follows(client, vm.name);
        client.onClose(services.reach.sessions.begin(vm.name, 'vm logs -f'));
      }
      const content = Readable.from(followFile(path, { from, follow, signal: client.signal }));
      await client.send({ content, mediaType: 'text/plain; charset=utf-8' });
    },
    'GET /v1/vms/:ref/ports': async ({ params }) => {
      await wakeForUse(services, resolve(params));
      return portViews(services, resolve(params));
    },
    'GET /v1/vms/:ref/forwards': ({ params }) => forwardViews(services, resolve(params)),
    'POST /v1/vms/:ref/forwards': async ({ params, body }, { signal }) => {
      await wakeForUse(services, resolve(params));
      return forwardViews(services, await addForward(services, resolve(params), body, signal));
    },
    'DELETE /v1/vms/:ref/forwards': async ({ params, query }, { signal }) => {
      await wakeForUse(services, resolve(params));
      return forwardViews(services, await removeForward(services, resolve(params), query, signal));
    },
  });
}

type Held = { vm: Vm; what: string; client: FramesClient };

/** @param held.what its name, for people */
async function holdSession(
  services: DaemonServices,
  { vm, what, client }: Held,
  open: (agent: AgentClient) => Promise<FrameSession>,
): Promise<void> {
  client.onClose(services.reach.sessions.begin(vm.name, what));
  await withSession(services, vm, async ({ agent }) => client.join(await open(agent), () => whyLost(services, vm)), {
    signal: client.signal,
    onWait: (sessions) => client.tellWaiting(sessions),
  });
}

/** A session does not outlive its VMM, although the command in the guest may. */
function whyLost({ vms: { records } }: DaemonServices, { id, name }: Vm): string | undefined {
  const state = records.find(id)?.state;
  return state === 'suspending' || state === 'suspended' ? `VM ${name} was suspended (try: banger vm resume ${name})` : undefined;
}

/** @throws GUEST_COMMAND_NOT_FOUND for ssh if the image has no ssh server */
async function openTunnel(agent: AgentClient, name: string, target: string, { signal }: Client): Promise<FrameSession> {
  try {
    return await agent.openTunnel(target, { signal });
  } catch (error) {
    if (target !== 'ssh' || !(error instanceof BangerError) || error.details?.['errno'] !== constants.errno.ENOENT) throw error;
    throw noSshServer(name, error);
  }
}

/** Removes absent optional members, as the guest agent's protocol demands. */
function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
