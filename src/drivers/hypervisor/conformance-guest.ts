// What the contract suite of hypervisors asks of a machine and its guest.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import type { AgentChannel, Hypervisor, Machine, MachineSpec } from './contract.ts';

/** What the suite needs to test a driver. */
export type HypervisorBench = {
  /** A driver as a new daemon would make it; all of them see the same machines. */
  createDriver(): Hypervisor;
  /** A bootable machine in a fresh private directory, removed with the test. */
  createSpec(t: TestContext): MachineSpec;
  /** How long the guest agent may take to answer. */
  bootLimitMs: number;
  /** Whether the guest obeys `requestShutdown`; an initramfs without init does not. */
  obeysShutdown: boolean;
};

/** Boots a machine that ends with the test. */
export async function startMachine(
  t: TestContext,
  bench: HypervisorBench,
): Promise<{ driver: Hypervisor; spec: MachineSpec; machine: Machine }> {
  const driver = bench.createDriver();
  const spec = bench.createSpec(t);
  const machine = await driver.start(spec, AbortSignal.timeout(bench.bootLimitMs));
  t.after(async () => {
    await machine.terminate();
    machine.detach();
    await driver.cleanUp(spec);
  });
  return { driver, spec, machine };
}

/** Asks GET /healthz on the channel. @returns the reply's status line and body */
export const askHealth = (channel: AgentChannel): Promise<string> => askFor(channel, '/healthz');

async function askFor(channel: AgentChannel, path: string): Promise<string> {
  return (await askRaw(channel, `GET ${path}`, '', /\r\n\r\n\{.*\}$/s)).input;
}

/** @returns the reply, as soon as it matches */
async function askRaw({ stream }: AgentChannel, request: string, body: string, wanted: RegExp): Promise<RegExpExecArray> {
  stream.write(`${request} HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  let reply = '';
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      stream.off('data', onData);
      stream.off('close', onClose);
      stream.pause();
    };
    const onClose = (): void => reject(new BangerError('AGENT_UNREACHABLE', 'closed'));
    const onData = (chunk: Buffer): void => {
      reply += chunk.toString('latin1');
      const found = wanted.exec(reply);
      if (found === null) return;
      leave();
      resolve(found);
    };
    stream.on('data', onData);
    stream.once('close', onClose);
    stream.resume();
  });
}

const NOTE = '/note';

/** Leaves a word in the memory of the guest. */
export async function putNote(machine: Machine, bench: HypervisorBench, text: string): Promise<void> {
  const channel = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
  const answer = askRaw(channel, `PUT /files?path=${NOTE}&mode=0600`, text, /^HTTP\/1\.1 (\d+) /);
  assert.equal((await answer)[1], '204');
  channel.destroy();
}

/** @returns the word that was left there */
export async function noteOf(machine: Machine, bench: HypervisorBench): Promise<string | undefined> {
  const channel = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
  const [, text] = await askRaw(channel, `GET /files?path=${NOTE}`, '', /\r\n\r\n(.+)$/s);
  channel.destroy();
  return text;
}

/** @returns the guest's boot id */
export async function bootIdOf(machine: Machine, bench: HypervisorBench): Promise<string> {
  const channel = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
  const reply = await askFor(channel, '/info');
  channel.release();
  return /"bootId":"([^"]+)"/.exec(reply)?.[1] ?? assert.fail(reply);
}

/** Whoever has a channel still, hears nothing on it either. */
export async function assertStill(machine: Machine): Promise<void> {
  const silence = AbortSignal.timeout(200);
  const channel = await machine.openAgentChannel(silence).catch(() => undefined);
  if (channel === undefined) return;
  const answer = askHealth(channel).catch(() => 'closed');
  const ended = new Promise<string>((resolve) => silence.addEventListener('abort', () => resolve('silence'), { once: true }));
  assert.doesNotMatch(await Promise.race([answer, ended]), /^HTTP/);
  channel.destroy();
}
