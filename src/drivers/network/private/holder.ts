import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { BRIDGE_ADDRESS, DNS_FORWARD_ADDRESS, GUEST_PREFIX_LENGTH } from '../../../model/network.ts';
import { type HolderInfo, control, holderInfo } from './control-client.ts';
import { baseRuleset } from './ruleset.ts';

/** A busy host takes its time to start a program, and to load the modules that rules need. */
const START_TIMEOUT_MS = 30_000;
const RULES_TIMEOUT_MS = 60_000;
const POLL_MS = 10;

type HolderOptions = { host: Host; forwarderPath: string; directory: string; socketPath: string };

/** Starts, finds and ends the process that owns the namespace. */
export type Holder = {
  readonly logPath: string;
  /** Finds or starts it, with the base rules in place. Calls at the same time share one start. @throws NETWORK_FAILED, CANCELLED */
  ensure(signal: AbortSignal): Promise<HolderInfo>;
  find(): Promise<HolderInfo | undefined>;
  /** Applies nftables commands inside. @throws NETWORK_FAILED, PREREQUISITE_MISSING, CANCELLED */
  nft(innerPid: number, commands: string, signal?: AbortSignal): Promise<void>;
  /** @returns the JSON of the set of admitted guests. */
  listGuests(innerPid: number): Promise<string>;
  /** Ends it and everything inside, and removes its files. Idempotent. */
  end(): Promise<void>;
};

/** Makes the handle; touches nothing yet. */
export function createHolder(options: HolderOptions): Holder {
  const { host, forwarderPath, directory, socketPath } = options;
  const logPath = join(directory, 'network.log');
  let rulesAppliedIn = 0;
  let starting: Promise<HolderInfo> | undefined;

  const nft = async (innerPid: number, args: readonly string[], input?: string, signal?: AbortSignal): Promise<string> => {
    const argv = [forwarderPath, 'enter-admin', String(innerPid), 'nft', ...args];
    try {
      const outcome = await host.run(argv, {
        timeoutMs: RULES_TIMEOUT_MS,
        ...(input === undefined ? {} : { input }),
        ...(signal === undefined ? {} : { signal }),
      });
      return outcome.stdout;
    } catch (error) {
      if (signal?.aborted === true) throw cancelled(error);
      throw new BangerError('NETWORK_FAILED', 'the network rules could not be set', { remedy: 'banger doctor', cause: error });
    }
  };

  const apply = (innerPid: number, commands: string, signal?: AbortSignal): Promise<void> =>
    nft(innerPid, ['-f', '-'], commands, signal).then(() => undefined);

  const startOrFind = async (): Promise<HolderInfo> => {
    const info = (await holderInfo(socketPath)) ?? (await start(options, logPath));
    if (rulesAppliedIn !== info.innerPid) {
      await apply(info.innerPid, baseRuleset());
      rulesAppliedIn = info.innerPid;
    }
    return info;
  };

  return {
    logPath,
    find: () => holderInfo(socketPath),
    nft: apply,
    listGuests: (innerPid) => nft(innerPid, ['-j', 'list', 'set', 'bridge', 'banger', 'guests']),
    ensure: async (signal) => {
      if (signal.aborted) throw cancelled(signal.reason);
      // Shared, so a caller that cancels stops waiting and does not take the start away from the others.
      starting ??= startOrFind().finally(() => {
        starting = undefined;
      });
      return abortable(starting, signal);
    },
    end: async () => {
      await starting?.catch(() => undefined);
      const info = await holderInfo(socketPath);
      if (info !== undefined) await quit(host, socketPath, info);
      rulesAppliedIn = 0;
      for (const path of [socketPath, `${socketPath}.new`, logPath]) await host.removeTree(path);
    },
  };
}

function cancelled(cause: unknown): BangerError {
  return new BangerError('CANCELLED', 'setting up the network was cancelled', { cause });
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(cancelled(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

async function start(options: HolderOptions, logPath: string): Promise<HolderInfo> {
  const { host, forwarderPath, socketPath } = options;
  const argv = [forwarderPath, 'serve', socketPath, BRIDGE_ADDRESS, String(GUEST_PREFIX_LENGTH), DNS_FORWARD_ADDRESS];
  let ended = false;
  let child;
  try {
    child = await host.spawnDetached(argv, { outputPath: logPath });
  } catch (error) {
    throw new BangerError('PREREQUISITE_MISSING', `${forwarderPath} could not be started`, { remedy: 'banger doctor', cause: error });
  }
  void child.exited.then(() => {
    ended = true;
  });
  const startedAt = performance.now();
  for (;;) {
    const info = await holderInfo(socketPath);
    const waitedMs = performance.now() - startedAt;
    if (info?.outerPid === child.identity.pid) return info;
    if (ended || waitedMs > START_TIMEOUT_MS) {
      await host.endProcess(child.identity, 1000);
      throw new BangerError('NETWORK_FAILED', 'the private network could not be set up', { remedy: 'banger doctor', logPath });
    }
    await sleep(POLL_MS);
  }
}

async function quit(host: Host, socketPath: string, info: HolderInfo): Promise<void> {
  const identity = { pid: info.outerPid, startTicks: host.startTicksOf(info.outerPid) ?? 0 };
  // Its answer is the end of the connection, which the client reports as a failure.
  await control(socketPath, ['quit'], 5000).catch(() => undefined);
  await host.endProcess(identity, 5000);
}
