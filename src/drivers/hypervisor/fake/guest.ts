import type { Duplex } from 'node:stream';
import { ByteReader } from './byte-reader.ts';
import { type Command, runSession, writeFrame } from './guest-session.ts';

type GuestFile = { content: Buffer; mode: number };

export type GuestPort = { protocol: 'tcp' | 'udp'; address: string; port: number; pid: number; process: string; command: string };

/** The state of a simulated guest; tests read and change it. */
export type FakeGuest = {
  bootId: string;
  hostname: string;
  init: 'starting' | 'running' | 'degraded' | 'maintenance';
  /** The members of every POST /personalize; the last value of each. */
  personalization: Record<string, unknown> | undefined;
  files: Map<string, GuestFile>;
  ports: GuestPort[];
  /** The reply to CONNECT to a guest port: gets each piece that the host sends and returns the answer. */
  services: Map<number, (data: Buffer) => Buffer>;
  openSessions: number;
  /** The body of the reply to POST /personalize, if it has one. */
  troubles: unknown;
  isDiskFull: boolean;
  /** Commands read none of their input. */
  isStdinStuck: boolean;
  /** The offset of its clock from the host's, milliseconds; undefined until it is set. */
  clockOffsetMs: number | undefined;
  /** Whether an NTP program keeps it. */
  isClockKept: boolean;
  /** How often the host read the clock. */
  clockReadings: number;
  /** The host's sessions that hear when the clock is set. */
  watchers: Set<Duplex>;
  /** Every order to change the clock, as it came. */
  clockOrders: Record<string, unknown>[];
  /** Called by POST /poweroff. */
  onPoweroff: (reboot: boolean) => void;
};

/** The files of its root file system. */
const FILES: Readonly<Record<string, string>> = {
  '/var/lib/dpkg/status': 'Package: dpkg\n',
  '/etc/environment': 'LANG=C.UTF-8\n',
  '/etc/ssl/certs/ca-certificates.crt': '-----BEGIN CERTIFICATE-----\ndistribution\n-----END CERTIFICATE-----\n',
  '/usr/local/share/ca-certificates/README': '',
  '/etc/systemd/system.conf': '[Manager]\n',
  '/etc/apt/apt.conf.d/01autoremove': '',
};

/** @returns a guest that is in the initramfs */
export function createFakeGuest(bootId: string, onPoweroff: (reboot: boolean) => void): FakeGuest {
  return {
    bootId,
    hostname: 'localhost',
    init: 'running',
    personalization: undefined,
    files: new Map(Object.entries(FILES).map(([path, text]) => [path, { content: Buffer.from(text), mode: 0o644 }])),
    ports: [{ protocol: 'tcp', address: '0.0.0.0', port: 22, pid: 1, process: 'sshd', command: 'sshd: listener' }],
    services: new Map([[22, () => Buffer.from('SSH-2.0-fake\r\n')]]),
    openSessions: 0,
    troubles: undefined,
    isDiskFull: false,
    isStdinStuck: false,
    clockOffsetMs: undefined,
    watchers: new Set(),
    clockReadings: 0,
    isClockKept: false,
    clockOrders: [],
    onPoweroff,
  };
}

/** @returns what a machine goes on with from a snapshot, which serves others too */
export function copyGuest(guest: FakeGuest, onPoweroff: (reboot: boolean) => void): FakeGuest {
  const { files, ports, services, clockOrders } = guest;
  const own = { files: new Map(files), ports: [...ports], services: new Map(services), clockOrders: [...clockOrders] };
  return { ...guest, ...own, watchers: new Set(), openSessions: 0, onPoweroff };
}

type Request = { method: string; path: string; query: URLSearchParams; body: Buffer; isTunnel: boolean };
type Reply = { status: number; body?: unknown; raw?: Buffer; headers?: Record<string, string> };

/** Serves docs/agent-protocol.md on one channel until it closes. */
export async function serveAgent(stream: Duplex, guest: FakeGuest): Promise<void> {
  const reader = new ByteReader(stream);
  stream.on('error', () => undefined);
  for (;;) {
    const line = await reader.line();
    if (line === undefined) return;
    if (line.startsWith('BANGER-SYNC ')) {
      stream.write(`${line}\n`);
      continue;
    }
    const request = await readRequest(line, reader);
    if (request === undefined) return;
    const command = startSession(request, guest);
    if (command === undefined) writeReply(stream, answer(request, guest));
    else if ('status' in command) writeReply(stream, command);
    else {
      guest.openSessions++;
      stream.write(request.path === '/exec' ? 'HTTP/1.1 101 Switching Protocols\r\n\r\n' : 'HTTP/1.1 200 OK\r\n\r\n');
      const clean = await runSession(reader, stream, command, () => guest.isStdinStuck);
      guest.openSessions--;
      if (!clean) return;
    }
    if (request.path === '/poweroff') guest.onPoweroff(jsonBody(request)['reboot'] === true);
  }
}

async function readRequest(line: string, reader: ByteReader): Promise<Request | undefined> {
  const [method = '', target = ''] = line.split(' ');
  let length = 0;
  for (let header = await reader.line(); header !== ''; header = await reader.line()) {
    if (header === undefined) return undefined;
    const match = /^content-length:\s*(\d+)$/i.exec(header);
    if (match !== null) length = Number(match[1]);
  }
  const body = await reader.exactly(length);
  if (body === undefined) return undefined;
  if (method === 'CONNECT') return { method, path: target, query: new URLSearchParams(), body, isTunnel: true };
  const [path = '', query = ''] = target.split('?');
  return { method, path, query: new URLSearchParams(query.replaceAll('+', '%2B')), body, isTunnel: false };
}

function jsonBody(request: Request): Record<string, unknown> {
  return JSON.parse(request.body.toString('utf8')) as Record<string, unknown>;
}

function writeReply(stream: Duplex, reply: Reply): void {
  const body = reply.raw ?? (reply.body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(reply.body)));
  const headers = Object.entries({ 'Content-Length': `${body.length}`, ...reply.headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  stream.write(Buffer.concat([Buffer.from(`HTTP/1.1 ${reply.status} Reply\r\n${headers.join('')}\r\n`), body]));
}

/** @returns the session to run, an error reply, or undefined for a request that begins no session */
function startSession(request: Request, guest: FakeGuest): Command | Reply | undefined {
  if (request.isTunnel) return startTunnel(request.path, guest);
  if (request.method === 'GET' && request.path === '/ports/watch') {
    const start = (stream: Duplex): void => {
      writeFrame(stream, 0, Buffer.from(JSON.stringify({ ports: guest.ports })));
      guest.watchers.add(stream);
    };
    return { kind: 'stream', start };
  }
  if (request.method !== 'POST' || request.path !== '/exec') return undefined;
  if (guest.personalization === undefined) return { status: 503, body: { error: 'the guest is not up yet', errno: 0 } };
  const { argv, env } = jsonBody(request) as { argv: string[]; env?: Record<string, string> };
  return { kind: 'exec', argv: readScript(argv, guest), env: { HOSTNAME: guest.hostname, ...env } };
}

/** Runs a FILE with `#!` by that program, `/bin/sh FILE` by the file's content, and `/bin/sh -c mkdir …` as a shell that succeeds. */
function readScript(argv: string[], guest: FakeGuest): string[] {
  const interpreter = /^#!(.*)/.exec(guest.files.get(argv[0] ?? '')?.content.toString('utf8') ?? '')?.[1];
  if (interpreter !== undefined) return ['echo', `run by ${interpreter}`];
  if (argv[0] !== '/bin/sh') return argv;
  const file = guest.files.get(argv.at(-1) ?? '');
  if (file !== undefined) return ['sh', '-c', file.content.toString('utf8')];
  return argv[1] === '-c' ? ['true'] : ['false'];
}

function startTunnel(target: string, guest: FakeGuest): Command | Reply {
  const port = target === 'ssh' ? 22 : Number(target.slice(target.lastIndexOf(':') + 1));
  const service = guest.services.get(port);
  if (service === undefined) return { status: 502, body: { error: 'connection refused', errno: 111 } };
  return { kind: 'stream', onData: (stream, data) => writeFrame(stream, 0, service(data)) };
}

function answer(request: Request, guest: FakeGuest): Reply {
  const route = `${request.method} ${request.path}`;
  if (route === 'GET /healthz') {
    const phase = guest.personalization === undefined ? 'initramfs' : 'running';
    return { status: 200, body: { status: 'ok', phase, personalized: phase === 'running', uptimeMs: 1000, init: guest.init } };
  }
  if (route === 'GET /info') return { status: 200, body: describe(guest) };
  if (route === 'GET /ports') return { status: 200, body: { ports: guest.ports } };
  if (route === 'POST /personalize') {
    guest.personalization = { ...guest.personalization, ...jsonBody(request) };
    guest.hostname = String(guest.personalization['hostname']);
    setClock(guest, jsonBody(request)['unixMs']);
    return guest.troubles === undefined ? { status: 204 } : { status: 200, body: guest.troubles };
  }
  if (route === 'GET /time') {
    guest.clockReadings++;
    return { status: 200, body: { unixMs: Date.now() + (guest.clockOffsetMs ?? 0), synchronized: guest.isClockKept } };
  }
  if (route === 'POST /time') {
    const order = jsonBody(request);
    guest.clockOrders.push(order);
    setClock(guest, order['unixMs']);
    guest.clockOffsetMs = (guest.clockOffsetMs ?? 0) + Number(order['stepMs'] ?? order['slewMs'] ?? 0);
    return { status: 204 };
  }
  if (route === 'POST /poweroff') return { status: 204 };
  if (request.path === '/files' || request.path === '/stat') return answerFile(request, guest);
  return { status: 404, body: { error: 'no such request', errno: 0 } };
}

function setClock(guest: FakeGuest, unixMs: unknown): void {
  if (typeof unixMs === 'number') guest.clockOffsetMs = unixMs - Date.now();
}

function describe(guest: FakeGuest): Record<string, unknown> {
  return {
    agentVersion: 'fake',
    hostname: guest.hostname,
    kernel: '6.1.0-fake',
    initSystem: 'systemd',
    bootId: guest.bootId,
    memoryTotalKib: 1_000_000,
    memoryAvailableKib: 800_000,
    cpuCount: 2,
    loadAverage1: 0.1,
    sessions: guest.openSessions,
    disks: [
      { path: '/', sizeBytes: 2 * 1024 ** 3, usedBytes: 300 * 1024 ** 2 },
      { path: '/root', sizeBytes: 8 * 1024 ** 3, usedBytes: 20 * 1024 ** 2 },
    ],
  };
}

function answerFile(request: Request, guest: FakeGuest): Reply {
  const path = request.query.get('path') ?? '';
  if (request.method === 'PUT') {
    if (guest.isDiskFull) return { status: 500, body: { error: 'No space left on device', errno: 28 } };
    guest.files.set(path, { content: request.body, mode: Number.parseInt(request.query.get('mode') ?? '0644', 8) });
    return { status: 204 };
  }
  const file = guest.files.get(path);
  const isDirectory = guest.files.keys().some((name) => name.startsWith(`${path}/`));
  if (isDirectory && request.path === '/stat') return { status: 200, body: { type: 'directory', mode: 0o755, sizeBytes: 4096 } };
  if (file === undefined) return { status: 404, body: { error: 'No such file or directory', errno: 2 } };
  if (request.path === '/stat') return { status: 200, body: { type: 'file', mode: file.mode, sizeBytes: file.content.length } };
  return { status: 200, raw: file.content, headers: { 'X-Mode': file.mode.toString(8), 'X-Size': `${file.content.length}` } };
}

/** Does what `date -s` in the guest does. */
export function setClockInside(guest: FakeGuest, offsetMs: number): void {
  guest.clockOffsetMs = offsetMs;
  for (const stream of guest.watchers) if (stream.writable) writeFrame(stream, 1, Buffer.from('clock\n'));
}
