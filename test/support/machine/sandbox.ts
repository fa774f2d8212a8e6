// A separate banger for one test file: directories, environment, daemon, and the proof at the end that nothing is left.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LeakScope, type Snapshot, leaksBetween, processesOf, takeSnapshot } from './leak-check.ts';
import { paced } from './pace.ts';
import { describeVmms } from './vmm-look.ts';
import { bundleOfTests, shareBundle } from '../images/shared-bundle.ts';
import { type TestUser, asUser, testUser } from '../user/unprivileged.ts';

/** The built CLI of the checkout. */
export const PROGRAM = join(import.meta.dirname, '../../..', 'bin', 'banger');

export type SandboxOptions = {
  /** Text of config.toml; default empty. */
  config?: string;
  /** Added to the environment of every command. */
  env?: Record<string, string>;
  /** Comes before every command, for example to enter a namespace; must exec. */
  commandPrefix?: readonly string[];
  /** Run as root when we are root; default is the unprivileged test user. */
  asRoot?: boolean;
  /** Leave /dev/net/tun to root, as on hosts that do not open it; default is to open it to the test user. */
  withoutTun?: boolean;
  /** Another `banger` than the checkout's. */
  program?: string;
  /** How long `close` waits for processes to end, on an ordinary machine; default 10 000. */
  settleMs?: number;
};

export type Finished = { status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string; durationMs: number };

export type Sandbox = {
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  /** Identifies processes and files of this sandbox. */
  readonly scope: LeakScope;
  /** argv that runs a program like `banger` does: same user, same namespaces. */
  argv(command: readonly string[]): string[];
  /** Runs the built CLI to its end. */
  banger(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** The same, but if the status is not 0 it fails the test with everything that was printed. @returns stdout */
  must(args: readonly string[], options?: RunOptions): Promise<string>;
  /** Deletes all VMs, stops the daemon, removes the directories, and throws if anything else is left. Idempotent. */
  close(): Promise<void>;
};

export type RunOptions = {
  input?: string | Uint8Array;
  timeoutMs?: number;
  env?: Record<string, string>;
  /** Another `banger` than the checkout's. */
  program?: string;
};

/** Settings that, if they are in our environment, make the tests of VMs use other drivers than the automatic ones. */
const DRIVER_SETTINGS = [
  ...['BANGER_HYPERVISOR', 'BANGER_NETWORK_MODE', 'BANGER_STORAGE_DRIVER', 'BANGER_FIRECRACKER'],
  ...['BANGER_BOOT_TIMEOUT_SECONDS', 'BANGER_STOP_GRACE_SECONDS'],
];

/** Database, logs, keys and configuration survive VMs; everything else below the directories belongs to a VM or a running daemon. */
const MAY_STAY = /\.(db|db-wal|db-shm|log|toml|pub)$|\.db\.|\/(id_ed25519|ssh_config|ssh-config)$|\/(home|cache|bundle)\//;

/**
 * Makes directories whose paths are short (a socket path has at most 107 bytes) and, when we are root, owned by the test user.
 * The runtime bundle is the one of the checkout, or BANGER_BUNDLE of the environment. Call `close` in `after`.
 */
export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  const user = testUser(join(directory, 'home'), { tun: options.withoutTun !== true });
  const unprivileged = options.asRoot !== true;
  prepareDirectories(directory, options.config ?? '', unprivileged ? user : undefined);
  const isDemoted = unprivileged && process.getuid?.() === 0;
  const env = { ...(await environmentOf(directory, isDemoted)), ...options.env };
  const scope: LeakScope = { runId: env['BANGER_TEST_RUN'] ?? '', directories: [directory], mayStay: (path) => MAY_STAY.test(path) };
  const before = takeSnapshot(scope);
  const argv = (command: readonly string[]): string[] => [
    ...(options.commandPrefix ?? []),
    ...(unprivileged ? asUser(user, command) : command),
  ];
  const banger = (args: readonly string[], run: RunOptions = {}): Promise<Finished> =>
    runToEnd(argv([run.program ?? options.program ?? PROGRAM, ...args]), { ...env, ...run.env }, run);
  let closed: Promise<void> | undefined;
  return {
    directory,
    env,
    scope,
    argv,
    banger,
    must: async (args, run) => outputOf(args, await banger(args, run), scope),
    close: () => (closed ??= closeSandbox({ directory, scope, before, banger, settleMs: paced(options.settleMs ?? 10_000) })),
  };
}

function prepareDirectories(directory: string, config: string, owner: TestUser | undefined): void {
  for (const name of ['home', 'state', 'cache', 'run']) mkdirSync(join(directory, name), { mode: 0o700 });
  writeFileSync(join(directory, 'config.toml'), config);
  if (owner === undefined || process.getuid?.() !== 0) return;
  chmodSync(directory, 0o755);
  for (const name of ['home', 'state', 'cache', 'run', 'config.toml']) chownSync(join(directory, name), owner.uid, owner.uid);
}

/** @param isDemoted whether commands run as another user than we are, who may not enter the bundle's directory */
async function environmentOf(directory: string, isDemoted: boolean): Promise<Record<string, string>> {
  let bundle = bundleOfTests();
  if (bundle !== undefined && isDemoted) {
    shareBundle(bundle, join(directory, 'bundle'));
    bundle = join(directory, 'bundle');
  }
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: join(directory, 'home'),
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    BANGER_CONFIG: join(directory, 'config.toml'),
    BANGER_STATE_DIR: join(directory, 'state'),
    BANGER_CACHE_DIR: join(directory, 'cache'),
    BANGER_RUNTIME_DIR: join(directory, 'run'),
    BANGER_DNS_PORT: String(await freePort()),
    BANGER_HTTP_PORT: String(await freePort()),
    BANGER_TEST_RUN: randomBytes(8).toString('hex'),
    // Only tests of templates want machines beside their own.
    BANGER_TEMPLATES_ENABLED: 'false',
    ...(bundle === undefined ? {} : { BANGER_BUNDLE: bundle }),
    ...Object.fromEntries(DRIVER_SETTINGS.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** @param options.timeoutMs of an ordinary machine, default 120 000; then the command gets SIGKILL */
function runToEnd(argv: readonly string[], env: Record<string, string>, options: RunOptions): Promise<Finished> {
  const [program = '', ...args] = argv;
  const begin = performance.now();
  const child = spawn(program, args, { env, cwd: '/', stdio: 'pipe', timeout: paced(options.timeoutMs ?? 120_000), killSignal: 'SIGKILL' });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => {
    // If a command does not read its input, its status counts.
  });
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // The daemon that a first command starts has its own log; a pipe that stays open after the end would be a leak to it.
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr, durationMs: performance.now() - begin }));
  });
}

async function outputOf(args: readonly string[], { status, signal, stdout, stderr }: Finished, scope: LeakScope): Promise<string> {
  if (status === 0) return stdout;
  const machines = await describeVmms(scope);
  throw new Error(`banger ${args.join(' ')} ended with ${status ?? signal}\n${stdout}${stderr}${machines}`);
}

type Closing = { directory: string; scope: LeakScope; before: Snapshot; banger: Sandbox['banger']; settleMs: number };

/** Leftover processes are ended by their pid, after they were reported. */
async function closeSandbox({ directory, scope, before, banger, settleMs }: Closing): Promise<void> {
  const problems: string[] = [];
  try {
    if (processesOf(scope).length > 0) problems.push(...(await leaveInOrder(banger)));
    const deadline = performance.now() + settleMs;
    let leaks = leaksBetween(before, takeSnapshot(scope));
    while (leaks.length > 0 && performance.now() < deadline) {
      await sleep(100);
      leaks = leaksBetween(before, takeSnapshot(scope));
    }
    problems.push(...leaks.map((leak) => `left behind: ${leak}`));
  } finally {
    for (const { pid } of processesOf(scope)) endQuietly(pid);
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

async function leaveInOrder(banger: Sandbox['banger']): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await banger(args);
    if (status !== 0) problems.push(`${args.join(' ')} failed: ${stderr}`);
    return stdout;
  };
  const listNames = async (): Promise<string[]> => (await attempt('vm', 'list', '-q')).split('\n').filter((name) => name !== '');
  const names = await listNames();
  if (names.length > 0) await attempt('vm', 'delete', '--force', ...names);
  if (names.length > 0) problems.push(...(await listNames()).map((name) => `left behind: row of VM ${name}`));
  await attempt('daemon', 'stop', '--yes');
  return problems;
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Ended by itself meanwhile.
  }
}
