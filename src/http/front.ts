// The daemon's half of the HTTP front: listens until the first connection comes, and then passes its sockets to a process.
import { type Server, type Socket, createServer } from 'node:net';
import type { Channel } from '../host/spawn.ts';
import type { BangerError } from '../model/errors.ts';
import { listenFailure } from '../model/listen-failure.ts';
import type { FromFront, Port, Standing, TableMessage, ToFront } from './messages.ts';

/** The serving process, front-process.ts. */
type FrontProcess = Channel<ToFront, FromFront>;

export type FrontOptions = {
  /** The loopback address on which it listens for all names. */
  address: string;
  port: number;
  start(): FrontProcess;
  log(level: 'warn' | 'error', message: string, facts: Record<string, unknown>): void;
};

/** @returns the state of a VM that does not run. @param wake whether a person asks to start it */
export type Look = (name: string, wake: boolean) => Standing;

/** Ports of `NAME.vm`, and of `NAME.localhost`, which needs no name set-up; null if it is not reachable. */
export type FrontPorts = { name: number | null; localhost: number | null };

export type HttpFront = {
  /** @throws NETWORK_FAILED if the port is taken */
  start(look: Look): Promise<void>;
  /** Adds a running VM with its name and address. Listens on its port 80 if this user may, else on the same port as on the main address. */
  open(name: string, address: string): Promise<void>;
  close(name: string): void;
  setPorts(address: string, ports: readonly Port[]): void;
  /** @returns the ports on which the HTTP front serves the VM of this address by name */
  portsOf(address: string): FrontPorts;
  stop(): Promise<void>;
};

const HTTP_PORT = 80;
const LOCALHOST = '127.0.0.1';
const LOCALHOST_IPV6 = '::1';

/** A listening address: this process accepts until a front process serves it. */
type Place = { port: number; server: Server | undefined };

/** Opens nothing before `start` and `open`. */
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
      // Browsers try this address first for names under .localhost. Hosts without IPv6 do not have it.
      const other = await process.listenAt(LOCALHOST_IPV6, [options.port]);
      if (other !== undefined && other.code !== 'EADDRNOTAVAIL' && other.code !== 'EAFNOSUPPORT') {
        options.log('warn', 'names under .localhost may lead to another program', { address: LOCALHOST_IPV6, problem: other.code });
      }
    },
    async open(name, address) {
      names.set(name, address);
      process.tableChanged();
      // In bridge mode a VM's address belongs to the guest itself.
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
 * Starts the process on the first connection, passes it every listening socket, keeps its table up to date and answers its questions. If
 * the process ends, its sockets are closed with it; this opens them here again.
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
  return listenFailure(error, { what: 'the HTTP front', key: 'http.port', address, port });
}
