// The process of banger-forwarder, which outlives the daemon: starts it, finds it by its control socket, and ends it.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../../model/errors.ts';
import type { ProcessIdentity } from '../../model/vm.ts';
import { cancelled, throwIfCancelled } from './cancelled.ts';
import { control, type HolderInfo, holderInfo } from './control-client.ts';

/** A busy host is slow to start a program. */
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 10;

/** What it needs of the machine. */
export type ForwarderHost = {
  spawnDetached(argv: readonly string[], options: { outputPath: string }): Promise<{ identity: ProcessIdentity; exited: Promise<unknown> }>;
  endProcess(identity: ProcessIdentity, graceMs: number): Promise<boolean>;
  startTicksOf(pid: number): number | undefined;
  removeTree(path: string): Promise<void>;
};

/** The owner and root, or every user of the host. */
export type Share = 'me' | 'everyone';

export type ForwarderOptions = {
  host: ForwarderHost;
  /** Absolute path of banger-forwarder. */
  program: string;
  /** The command (head of native/forwarder/main.c), with the control socket's path. */
  argumentsOf: (socketPath: string) => readonly string[];
  /** Exists, 0700, one per daemon; short enough for a socket path. */
  directory: string;
  /** The prefix of its files there: `NAME.sock`, `NAME.log`. */
  name: string;
  /** Which users of this host may use listeners on loopback. */
  share: Share;
  /** Runs on a forwarder that was found or started, before any other use. */
  prepare?: (info: HolderInfo) => Promise<void>;
};

export type Forwarder = {
  readonly logPath: string;
  /** Sends a request; see the head of native/forwarder/control.c. @throws NETWORK_FAILED if it does not answer */
  ask(requests: readonly string[]): ReturnType<typeof control>;
  /** Finds or starts it. Calls at the same time share one start. @throws NETWORK_FAILED, PREREQUISITE_MISSING, CANCELLED */
  ensure(signal: AbortSignal): Promise<HolderInfo>;
  find(): Promise<HolderInfo | undefined>;
  /** Ends it and its namespace, and removes its files. Idempotent. */
  end(): Promise<void>;
};

/** Makes the handle; touches nothing yet. */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const { host, directory, name, prepare } = options;
  const [socketPath, logPath] = [join(directory, `${name}.sock`), join(directory, `${name}.log`)];
  let starting: Promise<HolderInfo> | undefined;
  let toldShare = 0;

  /**
   * Also for a running one: the setting may have changed. A forwarder of an earlier build serves everyone and does not know this request.
   */
  const tellShare = async ({ outerPid }: HolderInfo): Promise<void> => {
    if (toldShare === outerPid) return;
    await control(socketPath, [`share ${options.share}`]);
    toldShare = outerPid;
  };

  const startOrFind = async (): Promise<HolderInfo> => {
    const info = (await holderInfo(socketPath)) ?? (await start(options, socketPath, logPath));
    await tellShare(info);
    await prepare?.(info);
    return info;
  };

  return {
    logPath,
    ask: (requests) => control(socketPath, requests),
    find: async () => {
      const info = await holderInfo(socketPath);
      if (info !== undefined) await tellShare(info);
      return info;
    },
    ensure: async (signal) => {
      throwIfCancelled(signal);
      // The start is shared, so a caller that cancels stops waiting and does not cancel it for the others.
      starting ??= startOrFind().finally(() => {
        starting = undefined;
      });
      return abortable(starting, signal);
    },
    end: async () => {
      await starting?.catch(() => undefined);
      const info = await holderInfo(socketPath);
      if (info !== undefined) await quit(host, socketPath, info);
      for (const path of [socketPath, `${socketPath}.new`, logPath]) await host.removeTree(path);
    },
  };
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(cancelled(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

async function start({ host, program, argumentsOf }: ForwarderOptions, socketPath: string, logPath: string): Promise<HolderInfo> {
  let ended = false;
  let child;
  try {
    child = await host.spawnDetached([program, ...argumentsOf(socketPath)], { outputPath: logPath });
  } catch (error) {
    throw new BangerError('PREREQUISITE_MISSING', `${program} could not be started`, { remedy: 'banger doctor', cause: error });
  }
  void child.exited.then(() => {
    ended = true;
  });
  const startedAt = performance.now();
  for (;;) {
    const info = await holderInfo(socketPath).catch(() => undefined);
    const waitedMs = performance.now() - startedAt;
    if (info?.outerPid === child.identity.pid) return info;
    if (ended || waitedMs > START_TIMEOUT_MS) {
      await host.endProcess(child.identity, 1000);
      throw new BangerError('NETWORK_FAILED', 'the forwarder could not be started', { remedy: 'banger doctor', logPath });
    }
    await sleep(POLL_MS);
  }
}

async function quit(host: ForwarderHost, socketPath: string, info: HolderInfo): Promise<void> {
  const identity = { pid: info.outerPid, startTicks: host.startTicksOf(info.outerPid) ?? 0 };
  // It answers by closing the connection, which the client reports as a failure.
  await control(socketPath, ['quit'], 5000).catch(() => undefined);
  await host.endProcess(identity, 5000);
}
