// One connection of the HTTP front: reads whom it is for, connects, and moves bytes until both sides have ended. What follows the
// first request is not looked at, so WebSocket, streams in both directions and HTTP/2 pass as they are.
import { type Socket, connect } from 'node:net';
import { STATUS_CODES } from 'node:http';
import { defaultPort, hostOf, parseTarget } from './authority.ts';
import { type FirstRequest, readFirstRequest } from './first-request.ts';
import type { Standing, Table } from './messages.ts';
import { PAGES, type Page, renderPage } from './pages.ts';

export type FrontView = {
  table: Table;
  /** About a VM that does not run. */
  ask(name: string, wake: boolean): Promise<Standing>;
};

/** A client that still sends what nobody reads is given this long. */
const LINGER_MS = 1000;

/** Serves a connection that was accepted on loopback and of which nothing has been read. */
export async function serveConnection(client: Socket, view: FrontView): Promise<void> {
  client.on('error', () => client.destroy());
  client.setNoDelay(true);
  const request = await readFirstRequest(client);
  if (request === undefined) return void client.destroy();
  const route = await routeOf(request, client, view);
  if (route === undefined) client.destroy();
  else if ('page' in route) refuse(client, request, route.page);
  else join(client, request, route);
}

type Route = { address: string; port: number; vm: string; guestPort: number };

async function routeOf(request: FirstRequest, client: Socket, { table, ask }: FrontView): Promise<Route | { page: Page } | undefined> {
  const here = client.localAddress ?? '';
  // What is no HTTP comes to port 80 of a VM's address because it is for port 80 of the guest.
  if (request.kind === 'none') return routeTo(table, nameAt(table, here), here, 80);
  if (request.kind === 'bad') return { page: PAGES.bad() };
  const own = hostOf(request.authority) === here ? nameAt(table, here) : undefined;
  const target = own === undefined ? parseTarget(request.authority) : { vm: own, port: undefined };
  if (target === undefined) return { page: PAGES.unknown() };
  const address = table.names.get(target.vm);
  if (address === undefined) return { page: await pageOfAbsent(target.vm, request, ask) };
  const port = target.port ?? defaultPort(table.ports.get(address) ?? []);
  return (port === undefined ? undefined : routeTo(table, target.vm, address, port)) ?? { page: PAGES.closed(target.vm, port) };
}

function nameAt(table: Table, address: string): string | undefined {
  return [...table.names].find(([, candidate]) => candidate === address)?.[0];
}

function routeTo(table: Table, vm: string | undefined, address: string, guestPort: number): Route | undefined {
  const found = table.ports.get(address)?.find((port) => port.guestPort === guestPort);
  return vm === undefined || found === undefined ? undefined : { vm, address, port: found.hostPort, guestPort };
}

async function pageOfAbsent(vm: string, request: FirstRequest, ask: FrontView['ask']): Promise<Page> {
  // A page of another site may link here; it may not start machines.
  const site = request.headers.get('sec-fetch-site') ?? 'none';
  const standing = await ask(vm, site !== 'cross-site');
  return standing === 'unknown' ? PAGES.unknown() : standing === 'starting' ? PAGES.starting(vm) : PAGES.stopped(vm);
}

/** Bytes go both ways as they come; each side's end is told to the other. */
function join(client: Socket, request: FirstRequest, route: Route): void {
  const guest = connect({ host: route.address, port: route.port, allowHalfOpen: true, noDelay: true });
  let hasAnswered = false;
  guest.once('data', () => (hasAnswered = true));
  guest.once('error', () => {
    // The forwarder learns only after it has accepted that the guest does not.
    if (hasAnswered || client.destroyed) client.resetAndDestroy();
    else refuse(client, request, PAGES.closed(route.vm, route.guestPort));
  });
  client.once('close', () => guest.destroy());
  guest.once('close', () => {
    if (client.writableEnded && client.readableEnded) client.destroy();
  });
  guest.write(request.bytes);
  client.pipe(guest);
  guest.pipe(client);
}

function refuse(client: Socket, request: FirstRequest, page: Page): void {
  const { status, headers, body } = renderPage(page, request.headers.get('accept') ?? '');
  client.unpipe();
  if (request.respond !== undefined) request.respond(status, headers, body);
  else {
    const length = Buffer.byteLength(body);
    const fields = Object.entries({ ...headers, 'content-length': String(length), connection: 'close' });
    const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    client.end(request.method === 'HEAD' ? head : head + body);
  }
  client.resume();
  setTimeout(() => client.destroy(), LINGER_MS).unref();
}
