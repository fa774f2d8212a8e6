// A machine's memory and state as one stream of QEMU's migration, in a file. Zero pages take no room in it.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { MachineSpec } from '../contract.ts';
import { commonKey, processorOf, type SnapshotKey } from '../snapshot-key.ts';
import type { QmpClient, QmpEvent } from './qmp-client.ts';

/** More than any host moves: the guest stands still meanwhile. */
const UNLIMITED_BYTES_PER_SECOND = 2 ** 40;
/** A migration that failed or was cancelled is over within milliseconds; a busy host takes longer. */
const FINALIZE_LIMIT_MS = 10_000;
const FINALIZE_PAUSE_MS = 2;
/** The descriptor that a restoring QEMU gets of its parent. */
const STATE_FD = 3;

export const stateFile = (directory: string): string => join(directory, 'state');
export const migrationSocket = (spec: Pick<MachineSpec, 'runtimeDirectory'>): string => join(spec.runtimeDirectory, 'migrate.sock');

/** Arguments of a QEMU that waits for a state in place of a boot. */
export const INCOMING_ARGUMENTS = ['-incoming', 'defer'];

/** Tells how the one migration of a QEMU ends. */
export class MigrationWatch {
  #end = Promise.withResolvers<string>();

  onEvent({ name, data }: QmpEvent): void {
    const status = data['status'];
    if (name === 'MIGRATION' && (status === 'completed' || status === 'failed' || status === 'cancelled')) this.#end.resolve(status);
  }

  /** @returns waits for the next end. @throws VMM_FAILED when it is another one than `completed`, or QEMU has ended */
  begin(qmp: QmpClient): () => Promise<void> {
    const { promise } = (this.#end = Promise.withResolvers<string>());
    const closed = qmp.closed.then(() => 'ended with QEMU');
    return async () => {
      const status = await Promise.race([promise, closed]);
      if (status !== 'completed') throw new BangerError('VMM_FAILED', `the transfer of the machine's state ${status}`);
    };
  }
}

/** @param argv of QEMU as it runs, or is going to */
export async function snapshotKey(
  host: Host,
  { spec, program, argv, accelerator, tscKhz }: { spec: MachineSpec; program: string; argv: readonly string[] } & Acceleration,
): Promise<SnapshotKey> {
  const key = { ...(await commonKey(host, spec, 'qemu', program)), accelerator, devices: devicesOf(argv, spec) };
  // A guest under emulation sees of the host its time stamp counter and nothing else.
  if (accelerator === 'tcg') return tscKhz === undefined ? key : { ...key, tscKhz };
  return {
    ...key,
    processor: processorOf((await host.readIfThere('/proc/cpuinfo')) ?? ''),
    hostKernel: ((await host.readIfThere('/proc/sys/kernel/osrelease')) ?? '').trim(),
  };
}

type Acceleration = { accelerator: 'kvm' | 'tcg'; tscKhz?: number | undefined };

/** What is said of the kernel, the name and the snapshot is no device. */
const NOT_DEVICES = new Set(['-name', '-kernel', '-initrd', '-append', '-incoming']);

/** @returns the arguments that make the machine, in their order, whatever the places of its files */
export function devicesOf(argv: readonly string[], spec: Pick<MachineSpec, 'runtimeDirectory'>): string[] {
  return argv.slice(1).flatMap((word, at, words) => {
    if (NOT_DEVICES.has(word) || NOT_DEVICES.has(words[at - 1] ?? '')) return [];
    return word.replaceAll(spec.runtimeDirectory, '').replaceAll(/"filename":"(?:[^"\\]|\\.)*"/g, '"filename":""');
  });
}

/**
 * Stops the guest and writes its memory and state into a file.
 * @throws VMM_FAILED, NO_SPACE, CANCELLED; the guest then stands still until `letGoOn`
 */
export async function saveState(
  { host, qmp, watch, spec }: { host: Host; qmp: QmpClient; watch: MigrationWatch; spec: MachineSpec },
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const socketPath = migrationSocket(spec);
  await host.removeName(socketPath);
  const reception = await host.receiveFile(socketPath, stateFile(directory));
  const onAbort = (): void => reception.close();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) reception.close();
    await qmp.command('stop');
    await qmp.command('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] });
    await qmp.command('migrate-set-parameters', { 'max-bandwidth': UNLIMITED_BYTES_PER_SECOND });
    const sent = watch.begin(qmp);
    await qmp.command('migrate', { uri: `unix:${socketPath}` });
    // A file that cannot be written is told before the failure that follows from it.
    await Promise.all([reception.done, sent()]);
  } catch (error) {
    throw explain(spec, error, signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    reception.close();
    await host.removeName(socketPath);
  }
}

function explain(spec: MachineSpec, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return new BangerError('CANCELLED', `the snapshot of ${spec.vmName} was cancelled`, { cause: error });
  if (error instanceof BangerError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const facts = { logPath: spec.vmmLogPath, cause: error };
  if (code === 'ENOSPC') {
    return new BangerError('NO_SPACE', `there is no room for the memory of ${spec.vmName}`, { ...facts, remedy: 'df -h' });
  }
  return new BangerError('VMM_FAILED', `the memory of ${spec.vmName} could not be written: ${message}`, facts);
}

/** Reads the state that QEMU was given as a descriptor; its guest stands still afterwards. @throws VMM_FAILED */
export async function loadState(qmp: QmpClient, watch: MigrationWatch): Promise<void> {
  await qmp.command('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] });
  const loaded = watch.begin(qmp);
  await qmp.command('migrate-incoming', { uri: `fd:${STATE_FD}` });
  await loaded();
}

/** Lets a guest go on that stood still, also one whose state is just being written. @throws VMM_FAILED */
export async function letGoOn(qmp: QmpClient): Promise<void> {
  await qmp.command('migrate_cancel');
  const deadline = performance.now() + FINALIZE_LIMIT_MS;
  for (;;) {
    try {
      await qmp.command('cont');
      return;
    } catch (error) {
      // It has no event for the moment from which on it obeys.
      const isRefused = error instanceof BangerError && error.details?.['qmpClass'] !== undefined;
      if (!isRefused || performance.now() > deadline) throw error;
    }
    await sleep(FINALIZE_PAUSE_MS);
  }
}
