// Compares forwarded ports with other ways to reach a guest, and the name server with dnsmasq.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DNSMASQ_ALONE } from '../test/support/outside/dnsmasq.ts';
import { holderInfo } from '../src/drivers/network/control-client.ts';
import type { Sandbox } from '../test/support/machine/sandbox.ts';
import { type Bench, type BenchContext, banger, createRunning, showVm, sshAccess } from './bench.ts';
import { type Row, type RowResult, measureRoundRobin } from './round-robin.ts';

const execute = promisify(execFile);
const client = join(import.meta.dirname, 'tcp-client-program.ts');
const FETCHED_MIB = 32;
const [SOURCE, ECHO] = [9100, 9101];
const NAME = 'bench-reach';

type Way = { name: string; prefix: readonly string[]; address: string; ports: { [guestPort: number]: number } };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  return typeof bound === 'object' && bound !== null ? bound.port : 0;
}

/** A VM that sends zeros on one port and echoes on another. */
async function createServers(sandbox: Sandbox): Promise<void> {
  await createRunning(sandbox, NAME);
  const listen = (port: number, command: string): string =>
    `setsid systemd-socket-activate --listen=0.0.0.0:${port} --accept --inetd ${command} >/dev/null 2>&1 &`;
  const script = `${listen(SOURCE, `/usr/bin/head -c ${FETCHED_MIB * 1024 ** 2} /dev/zero`)} ${listen(ECHO, '/bin/cat')}`;
  await sandbox.must(['vm', 'exec', NAME, '--', 'sh', '-c', script]);
  await sleep(2000);
}

/** Every way to both ports. In the namespace, the guest is a neighbour: there socat stands between two programs, as the forwarder does. */
async function openWays(context: BenchContext, started: ChildProcess[]): Promise<Way[]> {
  const { sandbox } = context;
  const { address, guestAddress } = await showVm(sandbox, NAME);
  const info = await holderInfo(join(sandbox.env['BANGER_RUNTIME_DIR'] ?? '', 'network.sock'));
  if (info === undefined) throw new Error('the private network is needed');
  const { stdout } = await execute('readlink', [`/proc/${info.outerPid}/exe`]);
  const inside = [stdout.trim(), 'enter', String(info.innerPid)];
  const run = (argv: readonly string[]): void =>
    void started.push(spawn(argv[0] ?? '', argv.slice(1), { env: sandbox.env, stdio: 'ignore' }));
  const [socatPorts, sshPorts]: Way['ports'][] = [{}, {}];
  const access = await sshAccess(sandbox, NAME);
  const ssh = ['ssh', '-F', 'none', '-N', '-i', access.privateKeyPath, '-o', `UserKnownHostsFile=${access.knownHostsPath}`];
  ssh.push('-o', `HostKeyAlias=${access.hostKeyAlias}`, '-o', `ProxyCommand=${banger} internal ssh-proxy ${NAME}`, '-o', 'LogLevel=ERROR');
  for (const port of [SOURCE, ECHO]) {
    const own = await freePort();
    (socatPorts as Way['ports'])[port] = own;
    run([...inside, 'socat', '-b', '262144', `TCP-LISTEN:${own},fork,reuseaddr,nodelay`, `TCP:${guestAddress}:${port},nodelay`]);
    const local = await freePort();
    (sshPorts as Way['ports'])[port] = local;
    ssh.push('-L', `127.0.0.1:${local}:127.0.0.1:${port}`);
  }
  run([...ssh, `${access.user}@${NAME}`]);
  await sleep(3000);
  const same = { [SOURCE]: SOURCE, [ECHO]: ECHO };
  return [
    { name: 'socat', prefix: inside, address: '127.0.0.1', ports: socatPorts ?? {} },
    { name: 'ssh -L', prefix: [], address: '127.0.0.1', ports: sshPorts ?? {} },
    { name: 'forwarded port', prefix: [], address, ports: same },
  ];
}

const rowOf = (mode: 'fetch' | 'ping', port: number, way: Way): Row => ({
  name: way.name,
  measure: async () => {
    const argv = [...way.prefix, process.execPath, client, mode, way.address, String(way.ports[port])];
    return Number((await execute(argv[0] ?? '', argv.slice(1), { timeout: 60_000 })).stdout);
  },
});

async function measureWays(context: BenchContext, mode: 'fetch' | 'ping', port: number): Promise<RowResult[]> {
  const started: ChildProcess[] = [];
  await createServers(context.sandbox);
  try {
    const ways = await openWays(context, started);
    return await measureRoundRobin(
      ways.map((way) => rowOf(mode, port, way)),
      context.rounds.slow,
    );
  } finally {
    for (const child of started) child.kill();
    await context.sandbox.must(['vm', 'delete', '--force', NAME]);
  }
}

const goals = {
  'forwarded port': [
    { against: 'socat', atMost: 1 },
    { against: 'ssh -L', atMost: 0.5 },
  ],
};

export const forwardBytesBench: Bench = {
  name: 'forward-bytes',
  title: `${FETCHED_MIB} MiB from a guest`,
  unit: 'ms',
  goals,
  run: (context) => measureWays(context, 'fetch', SOURCE),
};

export const forwardPingBench: Bench = {
  name: 'forward-ping',
  title: 'round trip of a byte to a guest',
  unit: 'ms',
  goals,
  run: (context) => measureWays(context, 'ping', ECHO),
};

/** @returns whether a program accepts */
async function isOpen(address: string, port: number): Promise<boolean> {
  const { connect } = await import('node:net');
  return new Promise((resolve) => {
    const socket = connect(port, address, () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

export const portsBench: Bench = {
  name: 'ports',
  title: 'a port of a guest, from its opening or closing on',
  unit: 'ms',
  goals: { appears: [{ atMost: 1000 }], vanishes: [{ atMost: 2000 }] },
  run: async ({ sandbox, rounds }) => {
    await createRunning(sandbox, NAME);
    const { address } = await showVm(sandbox, NAME);
    const change = async (script: string, isDone: () => Promise<boolean>): Promise<number> => {
      await sandbox.must(['vm', 'exec', NAME, '--', 'sh', '-c', script]);
      const begin = performance.now();
      while (!(await isDone())) await sleep(5);
      return performance.now() - begin;
    };
    const samples: Record<'appears' | 'vanishes', number[]> = { appears: [], vanishes: [] };
    try {
      for (let round = 0; round < rounds.fast; round++) {
        const open =
          'setsid systemd-socket-activate --listen=0.0.0.0:9200 --accept --inetd /bin/cat >/dev/null 2>&1 & until ss -Hltn | grep -q :9200; do :; done';
        samples.appears.push(await change(open, () => isOpen(address, 9200)));
        samples.vanishes.push(await change("pkill -f '[i]netd /bin/cat'", async () => !(await isOpen(address, 9200))));
      }
    } finally {
      await sandbox.must(['vm', 'delete', '--force', NAME]);
    }
    return Object.entries(samples).map(([name, found]) => ({ name, samples: found }));
  },
};

const NAMES = 1000;

/** @returns microseconds per query, with 64 queries in flight at any time */
async function askNames(port: number, queries: string): Promise<number> {
  const { stdout } = await execute('dnsperf', ['-s', '127.0.0.1', '-p', String(port), '-d', queries, '-l', '2', '-c', '4', '-q', '64']);
  if (!/NOERROR \d+ \(100\.00%\)/.test(stdout)) throw new Error(stdout);
  return 1e6 / Number(/Queries per second:\s+([\d.]+)/.exec(stdout)?.[1]);
}

export const dnsBench: Bench = {
  name: 'dns',
  title: `a name of ${NAMES}, asked by dnsperf`,
  unit: 'µs',
  goals: { bangerd: [{ against: 'dnsmasq', atMost: 1.25 }] },
  run: async ({ scratch, rounds }) => {
    const queries = join(scratch, 'queries');
    const config = join(scratch, 'dnsmasq.conf');
    const names = Array.from({ length: NAMES }, (_, at) => `vm-${at}`);
    writeFileSync(queries, names.map((name) => `${name}.vm A\n`).join(''));
    writeFileSync(config, names.map((name, at) => `host-record=${name}.vm,127.213.${at >> 8}.${at & 255}\n`).join(''));
    const port = await freePort();
    const flags = [...DNSMASQ_ALONE, '--local-ttl=1'];
    const dnsmasq = spawn('/usr/sbin/dnsmasq', [`--conf-file=${config}`, `--port=${port}`, `--pid-file=${scratch}/pid`, ...flags], {
      stdio: 'ignore',
    });
    const own = spawn(process.execPath, [join(import.meta.dirname, 'dns-server-program.ts'), String(NAMES)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const ownPort = Number(String((await once(own.stdout, 'data'))[0]));
      await sleep(500);
      return await measureRoundRobin(
        [
          { name: 'dnsmasq', measure: () => askNames(port, queries) },
          { name: 'bangerd', measure: () => askNames(ownPort, queries) },
        ],
        rounds.slow,
      );
    } finally {
      for (const child of [dnsmasq, own]) child.kill();
    }
  },
};
