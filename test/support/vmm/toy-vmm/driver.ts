// A VMM driver in one folder, as docs/writing-a-driver.md describes it; its machines are ordinary processes.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentChannel, Hypervisor, Machine, MachineExit, MachineSpec } from '../../../../src/drivers/hypervisor/contract.ts';
import { type ProcessStatus, waitForVmmExit } from '../../../../src/drivers/hypervisor/process-end.ts';
import type { Host } from '../../../../src/host/host.ts';
import { BangerError } from '../../../../src/model/errors.ts';
import type { ProcessIdentity } from '../../../../src/model/vm.ts';

const PROGRAM = join(import.meta.dirname, 'toy-program.ts');
const CHANNEL_COUNT = 16;
const POLL_MS = 5;
const START_LIMIT_MS = 10_000;
const ADOPT_LIMIT_MS = 5000;

export function createToyHypervisor({ host }: { host: Host }): Hypervisor {
  return {
    name: 'toy',
    takes: { diskFormats: ['raw', 'device'], networks: ['tap', 'none'] },
    checks: () =>
      Promise.resolve({
        accelerator: 'tcg',
        version: 'toy 1.0',
        findings: [{ name: 'toy', level: 'pass', reason: 'machines are processes' }],
      }),
    start: (spec, signal) => start(host, spec, signal),
    adopt: async (spec, process) => {
      const ours = host.processesWithArgument(socketArgument(spec));
      if (!ours.some(({ pid, startTicks }) => pid === process.pid && startTicks === process.startTicks)) return undefined;
      const control = await open(spec, 'control', AbortSignal.timeout(ADOPT_LIMIT_MS)).catch(() => undefined);
      return control === undefined ? undefined : machineOf(host, spec, process, control);
    },
    find: (spec) => Promise.resolve(host.processesWithArgument(socketArgument(spec))[0]),
    cleanUp: (spec) => host.removeTree(socketPath(spec)),
  };
}

function socketPath(spec: MachineSpec): string {
  return join(spec.runtimeDirectory, 'toy.sock');
}

/** Only its process has this word in its command line. */
function socketArgument(spec: MachineSpec): string {
  return `--socket=${socketPath(spec)}`;
}

async function start(host: Host, spec: MachineSpec, signal: AbortSignal): Promise<Machine> {
  throwIfCancelled(spec, signal);
  const argv = [...spec.commandPrefix, process.execPath, PROGRAM, socketArgument(spec)];
  argv.push(`--kernel=${spec.kernelPath}`, `--serial=${spec.serialLogPath}`);
  const child = await host.spawnDetached(argv, { outputPath: spec.vmmLogPath });
  try {
    const control = await Promise.race([
      openWhenThere(spec, AbortSignal.any([signal, AbortSignal.timeout(START_LIMIT_MS)])),
      child.exited.then(({ exitCode }) => Promise.reject(new Error(`it ended with status ${exitCode}`))),
    ]);
    throwIfCancelled(spec, signal);
    return machineOf(host, spec, child.identity, control, child.exited);
  } catch (error) {
    await host.endProcess(child.identity, 0);
    await host.removeTree(socketPath(spec));
    throwIfCancelled(spec, signal);
    throw new BangerError('VMM_FAILED', `the toy VMM did not start for ${spec.vmName}: ${String(error)}`, { logPath: spec.vmmLogPath });
  }
}

function throwIfCancelled(spec: MachineSpec, signal: AbortSignal): void {
  if (signal.aborted) throw new BangerError('CANCELLED', `starting ${spec.vmName} was cancelled`, { cause: signal.reason });
}

async function openWhenThere(spec: MachineSpec, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    try {
      return await open(spec, 'control', signal);
    } catch (error) {
      if (signal.aborted) throw error;
      await sleep(POLL_MS, undefined, { signal });
    }
  }
}

/** @returns a connection whose purpose the VMM has acknowledged; nothing after that line is read yet */
async function open(spec: MachineSpec, purpose: 'agent' | 'control', signal: AbortSignal): Promise<Socket> {
  const socket = connect(socketPath(spec));
  try {
    await once(socket, 'connect', { signal });
    socket.write(`${purpose}\n`);
    await once(socket, 'readable', { signal });
    if (socket.read('ready\n'.length) === null) throw new Error('the VMM closed the connection');
    socket.on('error', () => undefined);
    return socket;
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw error;
  }
}

function machineOf(host: Host, spec: MachineSpec, identity: ProcessIdentity, control: Socket, ownChild?: Promise<ProcessStatus>): Machine {
  let isTerminated = false;
  let lastWord = '';
  control.setEncoding('utf8').on('data', (text: string) => (lastWord += text));
  const closed = new Promise<void>((resolve) => control.once('close', () => resolve()));
  const over = new AbortController();
  const exited = waitForVmmExit(host, identity, closed, ownChild).then((status): MachineExit => {
    over.abort();
    const cause = (['guest-poweroff', 'guest-reset'] as const).find((word) => lastWord.startsWith(word));
    if (cause !== undefined) return { cause, detail: 'the guest asked for it' };
    if (isTerminated) return { cause: 'host-request', detail: 'ended by the host' };
    return { cause: status === undefined ? 'unknown' : 'crash', detail: `ended with ${JSON.stringify(status ?? 'no status')}` };
  });
  return {
    process: identity,
    accelerator: 'tcg',
    channelCount: CHANNEL_COUNT,
    exited,
    openAgentChannel: createChannels(spec, over.signal),
    requestShutdown: () => Promise.resolve(void control.write('shutdown\n')),
    terminate: async () => {
      isTerminated = true;
      host.signalProcess(identity, 'SIGKILL');
      await exited;
    },
    pause: () => Promise.resolve(void host.signalProcess(identity, 'SIGSTOP')),
    resume: () => Promise.resolve(void host.signalProcess(identity, 'SIGCONT')),
    detach: () => void control.destroy(),
  };
}

/** One connection for each channel, and as many at a time as with other VMMs. */
function createChannels(spec: MachineSpec, over: AbortSignal): Machine['openAgentChannel'] {
  let present = 0;
  return async (signal): Promise<AgentChannel> => {
    const either = AbortSignal.any([signal, over]);
    try {
      while (present >= CHANNEL_COUNT) await sleep(POLL_MS, undefined, { signal: either });
      either.throwIfAborted();
      present++;
      const stream = await open(spec, 'agent', either).catch((error: unknown) => {
        present--;
        throw error;
      });
      stream.once('close', () => present--);
      const finish = (): void => void stream.destroy();
      return { stream, release: finish, destroy: finish };
    } catch (error) {
      throw new BangerError('AGENT_UNREACHABLE', 'the guest agent cannot be reached: the wait for it ended', { cause: error });
    }
  };
}
