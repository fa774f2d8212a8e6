import { setTimeout as sleep } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AgentClient } from '../../guest/agent-client.ts';
import { BangerError } from '../../model/errors.ts';

/** One command in a guest that takes long and reports its progress. */
export type GuestCommand = {
  argv: string[];
  env: Record<string, string>;
  onLine: (line: string) => void;
  signal: AbortSignal;
  timeoutMs: number;
  /** Its input; none: an empty stdin. */
  input?: Readable;
};

/** The longest line of output; an endless line is cut. */
const MAX_LINE_CHARACTERS = 4096;
const INIT_POLL_MS = 250;

/**
 * Runs a command through the guest agent to its end, and passes on its output line by line.
 * @returns its exit status
 * @throws TIMEOUT, CANCELLED, AGENT_UNREACHABLE
 */
export async function runInGuest(agent: AgentClient, command: GuestCommand): Promise<number> {
  const limit = AbortSignal.timeout(command.timeoutMs);
  const signal = AbortSignal.any([command.signal, limit]);
  const session = await agent.openExec({ argv: command.argv, env: command.env, cwd: '/' }, { signal: command.signal });
  const close = (): void => session.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    if (command.input === undefined) session.stdin.end();
    // If a command ends without reading all of its input, its exit status counts.
    else pipeline(command.input, session.stdin).catch(() => undefined);
    eachLine(session.stdout, command.onLine);
    eachLine(session.stderr, command.onLine);
    const { status } = await session.exit;
    command.signal.throwIfAborted();
    if (!limit.aborted) return status;
    throw new BangerError('TIMEOUT', `a command in the guest took longer than ${Math.round(command.timeoutMs / 60_000)} minutes`);
  } finally {
    signal.removeEventListener('abort', close);
  }
}

function eachLine(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split(/\r*\n/);
    rest = (lines.pop() ?? '').slice(-MAX_LINE_CHARACTERS);
    // Skip what a terminal would have overwritten: progress in per cent.
    for (const line of lines) onLine(line.slice(line.lastIndexOf('\r') + 1).slice(0, MAX_LINE_CHARACTERS));
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

/** Waits until the guest's init has started everything, so that packages can talk to it. A degraded system is good enough. */
export async function waitForInit(agent: AgentClient, signal: AbortSignal, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while ((await agent.healthz({ signal })).init === 'starting') {
    if (performance.now() > deadline) throw new BangerError('TIMEOUT', "the guest's init system did not come up");
    await sleep(INIT_POLL_MS, undefined, { signal });
  }
}
