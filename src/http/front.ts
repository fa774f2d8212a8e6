// The daemon's half of the HTTP front: listens until the first connection comes, and then gives its sockets to a process.
import { type Server, type Socket, createServer } from 'node:net';
import type { Channel } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import type { FromFront, Port, Standing, TableMessage, ToFront } from './messages.ts';

/** The process that serves, front-process.ts. */
type FrontProcess = Channel<ToFront, FromFront>;

export type FrontOptions = {
  /** Loopback, where it listens for all names. */
  address: string;
  port: number;
  start(): FrontProcess;
  log(level: 'warn' | 'error', message: string, facts: Record<string, unknown>): void;
};

/** @returns how it is with a VM that does not run. @param wake whether a person asks for it to be started */
export type Look = (name: string, wake: boolean) => Standing;

/** Ports of `NAME.vm`, and of `NAME.localhost`, which needs no set-up of names; null while it is not reached. */
export type FrontPorts = { name: number | null; localhost: number | null };

export type HttpFront = {
  /** @throws NETWORK_FAILED when the port is taken */
  start(look: Look): Promise<void>;
  /** A VM has its name and address. Its port 80 is listened on where this user may, else the same port as on the main address. */
  open(name: string, address: string): Promise<void>;
  close(name: string): void;
  setPorts(address: string, ports: readonly Port[]): void;
  /** @returns at which ports the VM of this address is reached over HTTP by name */
  portsOf(address: string): FrontPorts;
  stop(): Promise<void>;
};

const HTTP_PORT = 80;
const LOCALHOST = '127.0.0.1';
const LOCALHOST_IPV6 = '::1';

/** An address that is listened on: here until a process serves, then there. */
type Place = { port: number; server: Server | undefined };

/** Touches nothing before `start` and `open`. */
export function createHttpFront(options: FrontOptions): HttpFront {
  const names = new Map<string, string>();
  const ports = new Map<string, readonly Port[]>();
  const places = new Map<string, Place>();
  const process = createServing(options, places, () => ({ names: [...names], ports: [...ports] }));
  const isUsed = (address: string): boolean => [...names.values()].includes(address);
  const leave = (address: string): void => {
    places.get(address)?.server?.close();
    if (places.delete(address)) process.leave(address);
  };

  return {
    async start(look) {
      process.lookWith(look);
      const problem = await process.listenAt(options.address, [options.port]);
      if (problem !== undefined) throw portError(problem, options.address, options.port);
      if (options.address !== LOCALHOST) return;
      // Browsers try this one first for names under .localhost. Hosts without IPv6 have none.
      const other = await process.listenAt(LOCALHOST_IPV6, [options.port]);
      if (other !== undefined && other.code !== 'EADDRNOTAVAIL' && other.code !== 'EAFNOSUPPORT') {
        options.log('warn', 'names under .localhost may lead to another program', { address: LOCALHOST_IPV6, problem: other.code });
      }
    },
    async open(name, address) {
      names.set(name, address);
      process.tableChanged();
      // Where VMs have addresses of a bridge, those are theirs alone.
      if (places.has(address) || !address.startsWith('127.')) return;
      const problem = await process.listenAt(address, [HTTP_PORT, options.port]);
      if (problem !== undefined) options.log('warn', 'a VM has no port of the HTTP front', { address, problem: problem.code });
      if (!isUsed(address)) leave(address);
    },
    close(name) {
      const address = names.get(name);
      names.delete(name);
      if (address !== undefined && !isUsed(address)) {
        ports.delete(address);
        leave(address);
      }
      process.tableChanged();
    },
    setPorts(address, list) {
      if (list.length === 0) ports.delete(address);
      else ports.set(address, list);
      process.tableChanged();
    },
    portsOf: (address) => ({
      name: (places.get(address) ?? places.get(options.address))?.port ?? null,
      localhost: places.get(LOCALHOST)?.port ?? null,
    }),
    async stop() {
      process.end();
      for (const address of places.keys()) leave(address);
    },
  };
}

/**
 * Starts the process when the first connection comes, gives it every listening socket, keeps its table true and answers its
 * questions. Should it end, its sockets end with it; they are opened here again.
 */
function createServing(options: FrontOptions, places: Map<string, Place>, table: () => TableMessage) {
  let child: FrontProcess | undefined;
  let look: Look = () => 'unknown';

  const listenAt = async (address: string, candidates: readonly number[]): Promise<NodeJS.ErrnoException | undefined> => {
    let problem: NodeJS.ErrnoException | undefined;
    for (const port of candidates) {
      const server = createServer({ pauseOnConnect: true }, hand);
      problem = await listen(server, address, port);
      if (problem !== undefined) continue;
      server.on('error', (error) => options.log('error', 'the HTTP front failed', { address, error: error.message }));
      const place: Place = { port, server };
      places.set(address, place);
      if (child !== undefined) void give(child, address, place);
      return undefined;
    }
    return problem;
  };

  const give = async (made: FrontProcess, address: string, place: Place): Promise<void> => {
    const { server } = place;
    if (server === undefined || !(await made.send({ type: 'listen', address }, server))) return;
    server.close();
    place.server = undefined;
    if (!places.has(address)) void made.send({ type: 'close', address });
  };

  const started = (): FrontProcess => {
    const made = options.start();
    made.onMessage(({ id, name, wake }) => void made.send({ type: 'answer', id, standing: look(name, wake) }));
    made.onEnd(() => {
      if (child !== made) return;
      child = undefined;
      options.log('warn', 'the process of the HTTP front ended', {});
      for (const [address, { port, server }] of places) if (server === undefined) void listenAt(address, [port]);
    });
    void made.send({ type: 'table', table: table() });
    for (const [address, place] of places) void give(made, address, place);
    return made;
  };

  const hand = (socket: Socket): void => {
    child ??= started();
    void child.send({ type: 'connection' }, socket).then((isOnItsWay) => (isOnItsWay ? undefined : socket.destroy()));
  };

  return {
    listenAt,
    lookWith: (next: Look): void => void (look = next),
    tableChanged: (): void => void child?.send({ type: 'table', table: table() }),
    leave: (address: string): void => void child?.send({ type: 'close', address }),
    end(): void {
      const ended = child;
      child = undefined;
      ended?.end();
    },
  };
}

function listen(server: Server, address: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    server.once('error', resolve);
    server.listen(port, address, () => {
      server.off('error', resolve);
      resolve(undefined);
    });
  });
}

function portError(error: NodeJS.ErrnoException, address: string, port: number): BangerError {
  const reason = error.code === 'EADDRINUSE' ? 'another program uses it' : (error.code ?? error.message);
  return new BangerError('NETWORK_FAILED', `the HTTP front cannot listen on ${address}:${port} (http.port): ${reason}`, {
    remedy: `ss -lntp 'sport = :${port}'`,
    details: { address, port, errno: error.code },
    cause: error,
  });
}
