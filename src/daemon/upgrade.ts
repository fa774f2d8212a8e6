import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { execSchema } from '../api/schemas.ts';
import type { AgentClient } from '../guest/agent-client.ts';
import type { FrameSession } from '../guest/frame-session.ts';
import { resolveReference } from '../model/reference.ts';
import { BangerError, ERROR_CODES, type ErrorBody, toErrorBody, SCHEMA_REMEDY } from '../model/errors.ts';
import { AGENT_LIMITS } from '../model/limits.ts';
import { parseInput } from './input.ts';
import { relay } from './relay.ts';
import type { DaemonServices } from './services.ts';
import type { TypedServer } from './server.ts';
import { withSession } from './sessions.ts';

const tunnelSchema = z.strictObject({
  target: z.string().regex(/^(ssh|[0-9A-Za-z.:[\]-]{1,100}:\d{1,5})$/, 'must be "ssh" or an address and port such as 127.0.0.1:8080'),
});
/** A client that announces a body and does not send it is not waited for. */
const BODY_TIMEOUT_MS = 10_000;

/**
 * Serves `POST /v1/vms/:ref/exec` and `/tunnel`, which leave HTTP for frames. Fastify routes no upgrades, so they are
 * taken from the HTTP server itself.
 */
export function handleUpgrades(server: Server, services: DaemonServices, buildId: string): void {
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    serve(services, buildId, { request, socket, head }).catch((error: unknown) => refuse(socket, buildId, error));
  });
}

type Upgrade = { request: IncomingMessage; socket: Duplex; head: Buffer };

async function serve(services: DaemonServices, buildId: string, upgrade: Upgrade): Promise<void> {
  const { request, socket, head } = upgrade;
  const route = /^\/v1\/vms\/([^/?]{1,200})\/(exec|tunnel)$/.exec(request.url ?? '');
  if (route === null || request.method !== 'POST' || request.headers.upgrade !== 'banger-frames') {
    throw new BangerError('NOT_FOUND', `there is no ${request.method} ${request.url?.slice(0, 200)} that upgrades`, {
      remedy: SCHEMA_REMEDY,
    });
  }
  const [, reference = '', kind] = route;
  const { what, open } = askedFor(kind, await readBody(request));
  if (head.length > 0) socket.unshift(head);
  const vm = resolveReference('VM', services.vms, decodePart(reference));
  const hears = request.headers['banger-wait'] === 'tell';
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  socket.once('close', services.openSessions.begin(vm.name, what));
  await withSession(
    services,
    vm,
    async ({ agent }) => {
      const session = await open(agent, vm.name, { signal: gone.signal });
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: banger-frames\r\nBanger-Build: ${buildId}\r\n\r\n`);
      await relay(socket, session);
    },
    { signal: gone.signal, onWait: (sessions) => void (hears && socket.write(waiting(sessions, buildId))) },
  );
}

type Asked = { what: string; open(agent: AgentClient, name: string, options: { signal: AbortSignal }): Promise<FrameSession> };

/** @returns the session that is asked for, and how people call it. @throws INVALID_INPUT */
function askedFor(kind: string | undefined, body: unknown): Asked {
  if (kind === 'exec') {
    const asked = withoutUndefined(parseInput(execSchema, body, 'the body'));
    return { what: `vm exec: ${asked.argv.join(' ').slice(0, 200)}`, open: (agent, _name, options) => agent.openExec(asked, options) };
  }
  const { target } = parseInput(tunnelSchema, body, 'the body');
  return {
    what: target === 'ssh' ? 'vm ssh' : `connection to ${target}`,
    open: (agent, name, options) => openTunnel(agent, name, target, options),
  };
}

/** An interim answer (RFC 9110 §15.2), for clients that ask for it: the session begins when another one ends. */
function waiting(sessions: number, buildId: string): string {
  return `HTTP/1.1 102 Processing\r\nBanger-Build: ${buildId}\r\nBanger-Sessions: ${sessions}\r\n\r\n`;
}

/** @throws GUEST_COMMAND_NOT_FOUND where ssh is asked for and the image brings no server of it */
async function openTunnel(agent: AgentClient, name: string, target: string, options: { signal: AbortSignal }): Promise<FrameSession> {
  try {
    return await agent.openTunnel(target, options);
  } catch (error) {
    if (target !== 'ssh' || !(error instanceof BangerError) || error.details?.['errno'] !== constants.errno.ENOENT) throw error;
    throw new BangerError('GUEST_COMMAND_NOT_FOUND', `the image of ${name} has no SSH server`, {
      remedy: `banger vm exec ${name} -- sh`,
      cause: error,
    });
  }
}

/** The same routes for OpenAPI, and for those who come without an upgrade. */
export function upgradeRoutes(server: TypedServer): void {
  const params = z.object({ ref: z.string().max(200) });
  const response = { 101: z.null().describe('frames of docs/agent-protocol.md') };
  for (const [kind, body] of Object.entries({ exec: execSchema, tunnel: tunnelSchema })) {
    server.post(`/v1/vms/:ref/${kind}`, { schema: { params, body, response } }, () => {
      throw new BangerError('INVALID_INPUT', `${kind} leaves HTTP: send "Connection: Upgrade" and "Upgrade: banger-frames"`);
    });
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new BangerError('INVALID_INPUT', 'the path has a % that begins no encoded character');
  }
}

/** Optional members that are absent, as the guest's protocol wants them. */
function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const tooLarge = (): BangerError => new BangerError('PAYLOAD_TOO_LARGE', `the body is larger than ${AGENT_LIMITS.jsonBytes} bytes`);
  // Said before it is read: whoever still writes would not hear the answer over the broken connection.
  if (Number(request.headers['content-length']) > AGENT_LIMITS.jsonBytes) {
    request.resume();
    throw tooLarge();
  }
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(() => request.destroy(new BangerError('TIMEOUT', 'the body did not arrive')), BODY_TIMEOUT_MS);
  try {
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > AGENT_LIMITS.jsonBytes) throw tooLarge();
    }
  } finally {
    clearTimeout(timer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new BangerError('INVALID_INPUT', 'the body is not JSON');
  }
}

function refuse(socket: Duplex, buildId: string, error: unknown): void {
  if (!socket.destroyed) endWithError(socket, buildId, toErrorBody(error));
}

/** Ends a connection that no reply object stands for with an error in the one form. */
export function endWithError(socket: Duplex, buildId: string, body: ErrorBody): void {
  const { status } = ERROR_CODES[body.code];
  const json = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(json)}`,
    `Banger-Build: ${buildId}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${json}`);
}
