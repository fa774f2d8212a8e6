import { connect, createServer, type Server, type Socket } from 'node:net';
import { peerUid } from './peer-uid.ts';

/** A port of this host on which somebody listens in the stead of a guest. */
export type StandInPlace = { address: string; port: number };

export type StandInOptions = {
  /** Whether programs of all users may call, or only those of this one and of root. */
  isForEveryone: boolean;
  /** Called for every program that has connected. */
  onCall(): void;
};

/** Listens in the stead of a guest that sleeps. Programs that connect wait, and what they send stays unread in their connections. */
export type StandIn = {
  /** Places that could not be taken, and why. */
  readonly problems: readonly string[];
  /** Stops listening, so that others can; the callers wait on. */
  close(): Promise<void>;
  /** Connects the callers to what listens at their places now. */
  letThrough(): void;
  /** Breaks the callers' connections off. */
  refuse(): void;
};

type Caller = { socket: Socket; place: StandInPlace };

/** More at once come from a program out of control. */
const MOST_CALLERS = 256;

/** Begins to listen at all places; those that are taken are reported. */
export async function listenInStead(places: readonly StandInPlace[], options: StandInOptions): Promise<StandIn> {
  const callers = new Set<Caller>();
  // Whose program is not known yet when the others get their answer, gets the same.
  let answer: ((caller: Caller) => void) | undefined;
  let isClosed = false;
  const admit = async (socket: Socket, place: StandInPlace): Promise<void> => {
    socket.on('error', () => socket.destroy());
    if (callers.size >= MOST_CALLERS || !(options.isForEveryone || (await isOurs(socket)))) return void socket.resetAndDestroy();
    const caller = { socket, place };
    if (answer !== undefined) return answer(caller);
    callers.add(caller);
    socket.once('close', () => callers.delete(caller));
    options.onCall();
  };
  const opened = await Promise.all(places.map((place) => open(place, (socket) => void admit(socket, place))));
  const servers = opened.filter((one): one is Server => typeof one !== 'string');
  const take = (): Caller[] => {
    const waiting = [...callers];
    callers.clear();
    return waiting;
  };
  return {
    problems: opened.filter((one) => typeof one === 'string'),
    async close() {
      await Promise.all(servers.map(closed));
      isClosed = true;
    },
    letThrough() {
      answer = join;
      take().forEach(join);
    },
    refuse() {
      if (isClosed) answer = breakOff;
      take().forEach(breakOff);
    },
  };
}

const breakOff = ({ socket }: Caller): void => void socket.resetAndDestroy();

/** @returns the listening server, or why there is none */
function open({ address, port }: StandInPlace, onConnection: (socket: Socket) => void): Promise<Server | string> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, onConnection);
  return new Promise((resolve) => {
    server.once('error', (error) => resolve(`${address}:${port} cannot be listened on: ${error.message}`));
    server.listen(port, address, () => resolve(server));
  });
}

/** Who has connected already is accepted first. Callers keep a server from closing, but it listens no longer. */
async function closed(server: Server): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  server.close();
}

async function isOurs({ localAddress, localPort, remoteAddress, remotePort }: Socket): Promise<boolean> {
  if (localAddress === undefined || localPort === undefined || remoteAddress === undefined || remotePort === undefined) return false;
  const uid = await peerUid({ localAddress, localPort, remoteAddress, remotePort });
  return uid === 0 || uid === process.getuid?.();
}

/** Either end may finish first; what breaks at one end breaks at the other. */
function join({ socket, place }: Caller): void {
  const guest = connect({ host: place.address, port: place.port, allowHalfOpen: true, noDelay: true });
  socket.setNoDelay(true);
  guest.on('error', () => socket.resetAndDestroy());
  guest.once('close', (hadError) => hadError && socket.destroy());
  socket.once('close', (hadError) => hadError && guest.resetAndDestroy());
  socket.once('error', () => guest.resetAndDestroy());
  socket.pipe(guest);
  guest.pipe(socket);
}
