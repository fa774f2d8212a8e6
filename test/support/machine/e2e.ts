// What tests of real VMs share: a sandbox for the file, and functions for common actions.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DaemonStatus, VmView } from '../../../src/api/schemas.ts';
import { paced } from './pace.ts';
import { describeState } from './post-mortem.ts';
import { bundleOfTests } from '../images/shared-bundle.ts';
import { PROGRAM, type RunOptions, type Sandbox, type SandboxOptions, createSandbox } from './sandbox.ts';

/**
 * Registers hooks that make one sandbox for the tests of this file or suite, print its state when a test fails (9.6), and
 * close it, which fails if anything is left (9.5).
 * @param options or a function that is called when the sandbox is made
 * @returns the sandbox, to be called inside tests
 */
export function useSandbox(options: SandboxOptions | (() => SandboxOptions | Promise<SandboxOptions>) = {}): () => Sandbox {
  let made: Sandbox | undefined;
  const present = (): Sandbox => {
    if (made === undefined) throw new Error('the sandbox is made before the first test');
    return made;
  };
  before(async () => {
    if (bundleOfTests() === undefined) throw new Error('there is no runtime bundle: make bundle, or set BANGER_BUNDLE');
    made = await createSandbox(typeof options === 'function' ? await options() : options);
  });
  afterEach(async (t) => {
    if (!('error' in t) || t.passed || made === undefined) return;
    // The reporter prints it at the end, which a run that is killed does not reach.
    console.error(t.error?.cause ?? t.error);
    console.error(await describeState(made));
  });
  after(() => made?.close());
  return present;
}

/** One VM in a test. */
export type GuestHandle = {
  name: string;
  /** Runs a line of shell in the guest, through the guest agent. @returns stdout without surrounding blanks */
  sh(script: string, options?: RunOptions): Promise<string>;
  show(): Promise<VmView>;
};

export function guest(sandbox: Sandbox, name: string): GuestHandle {
  return {
    name,
    sh: async (script, options) => (await sandbox.must(['vm', 'exec', name, '--', 'sh', '-c', script], options)).trim(),
    show: async () => JSON.parse(await sandbox.must(['vm', 'show', name, '-o', 'json'])) as VmView,
  };
}

/** Waits until the guest's systemd has started everything; right after the guest agent's first answer it does not listen yet. */
export async function settled(vm: GuestHandle): Promise<string> {
  const ask = () => vm.sh('systemctl is-system-running --wait || true');
  return eventually('the start of all units', ask, (state) => state === 'running' || state === 'degraded', 300_000);
}

/** Creates a VM and waits until it is ready. */
export async function createVm(sandbox: Sandbox, name: string, ...flags: string[]): Promise<GuestHandle> {
  await sandbox.must(['vm', 'create', '--name', name, ...flags]);
  return guest(sandbox, name);
}

export async function daemonStatus(sandbox: Sandbox): Promise<DaemonStatus> {
  return JSON.parse(await sandbox.must(['daemon', 'status', '-o', 'json'])) as DaemonStatus;
}

/** Runs a program where `banger` runs: as the same user, in the same namespaces. @returns stdout, whatever the status */
export function runInSandbox(sandbox: Sandbox, command: readonly string[]): Promise<string> {
  const [program = '', ...args] = sandbox.argv(command);
  return new Promise((resolve) => execFile(program, args, { env: sandbox.env }, (_error, stdout) => resolve(stdout)));
}

/** @returns what a server sends to a client on the host of the sandbox; empty if there is no server */
export async function hear(sandbox: Sandbox, address: string, port: number): Promise<string> {
  return (await runInSandbox(sandbox, ['timeout', '5', 'bash', '-c', `cat <>/dev/tcp/${address}/${port}`])).trim();
}

/** Waits for something outside the test's control. @throws after `timeoutMs` of an ordinary machine, with the last observation */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  isDone: (seen: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + paced(timeoutMs);
  for (;;) {
    const seen = await look();
    if (isDone(seen)) return seen;
    if (performance.now() > deadline)
      throw new Error(`${what} did not happen within ${paced(timeoutMs)} ms; last seen: ${JSON.stringify(seen)}`);
    await sleep(50);
  }
}

/** A command that continues while the test does something else. */
export type Started = {
  /** The CLI itself: any command before it has exec'd. */
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Pieces of stderr as they arrived. */
  stderrChunks: string[];
  ended: Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
};

/** Starts `banger` without waiting for it. @param stdin a descriptor */
export function startBanger(sandbox: Sandbox, args: readonly string[], stdin: number | 'ignore' = 'ignore'): Started {
  const [program = '', ...rest] = sandbox.argv([PROGRAM, ...args]);
  const child = spawn(program, rest, { env: sandbox.env, cwd: '/', stdio: [stdin, 'pipe', 'pipe'] });
  const [stdout, stderrChunks]: [string[], string[]] = [[], []];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => stdout.push(text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => stderrChunks.push(text));
  const ended = new Promise<{ status: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal }));
  });
  return { child, stdout: () => stdout.join(''), stderr: () => stderrChunks.join(''), stderrChunks, ended };
}

/** Ends processes as the kernel would when memory runs out, and waits until they are gone. Those that ended by themselves are fine. */
export async function killProcesses(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  for (const pid of pids) {
    await eventually(
      `the end of ${pid}`,
      () => isAlive(pid),
      (alive) => !alive,
    );
  }
}

/** @returns the pid of the VM's VMM. @throws when it has none: as a pid, 0 would mean the test itself */
export async function vmmPid(vm: GuestHandle): Promise<number> {
  const { pid, state } = await vm.show();
  if (pid === null) throw new Error(`${vm.name} has no VMM: it is ${state}`);
  return pid;
}

/** @returns whether a process exists and is not a zombie */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && !/\) [ZX] /.test(stat);
}
