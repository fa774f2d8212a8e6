// A machine's memory and state as one stream of QEMU's migration, in a packed file. Zero pages take no room in it. A machine whose memory
// lies in a file already writes the rest only.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { MachineSpec } from '../contract.ts';
import { commonKey, processorOf, type SnapshotKey } from '../snapshot-key.ts';
import { MEMORY_FILE_OBJECT, MEMORY_OF_MACHINE } from './machine-config.ts';
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

/** Tells how far the one migration of a QEMU is. */
export class MigrationWatch {
  /** Called each time that all memory which the guest has changed is sent once more. */
  onPass: (pass: number) => void = () => undefined;
  #awaited = '';
  #reached = Promise.withResolvers<string>();

  onEvent({ name, data }: QmpEvent): void {
    if (name === 'MIGRATION_PASS') this.onPass(Number(data['pass']));
    const status = String(data['status']);
    if (name === 'MIGRATION' && (status === this.#awaited || ENDS.has(status))) this.#reached.resolve(status);
  }

  /** @returns waits for the status. @throws VMM_FAILED when it ends with another one, or QEMU has ended */
  begin(qmp: QmpClient, awaited: 'completed' | 'pre-switchover' = 'completed'): () => Promise<void> {
    const { promise } = (this.#reached = Promise.withResolvers<string>());
    this.#awaited = awaited;
    const closed = qmp.closed.then(() => 'ended with QEMU');
    return async () => {
      const status = await Promise.race([promise, closed]);
      if (status !== awaited) throw new BangerError('VMM_FAILED', `the transfer of the machine's state ${status}`);
    };
  }
}

const ENDS = new Set(['completed', 'failed', 'cancelled']);

/** What no transfer of banger needs to be slowed by. */
export const TRANSFER_LIMITS = { 'max-bandwidth': UNLIMITED_BYTES_PER_SECOND };

/** A QEMU as it runs, or is going to. `hasMemoryFile`: whether the memory is a file of the snapshot, in place of a part of its stream. */
type KeyParts = { spec: MachineSpec; program: string; argv: readonly string[]; hasMemoryFile: boolean };

/** @returns what must be the same where the snapshot goes on */
export async function snapshotKey(
  host: Host,
  { spec, program, argv, hasMemoryFile, accelerator, tscKhz }: KeyParts & Acceleration,
): Promise<SnapshotKey> {
  const memory = hasMemoryFile ? { memory: 'file' } : {};
  const key = { ...(await commonKey(host, spec, 'qemu', program)), ...memory, accelerator, devices: devicesOf(argv, spec) };
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

/** The guest keeps the MAC of its snapshot, whatever the command line says. A comma of a value is doubled. */
const NAMES_AND_PLACES = [
  [/"filename":"(?:[^"\\]|\\.)*"/g, '"filename":""'],
  [/,(ifname|mac)=(?:[^,]|,,)*/g, ',$1='],
] as const;

/** @returns the arguments that make the machine, in their order, whatever the names and the places of what they stand on */
export function devicesOf(argv: readonly string[], spec: Pick<MachineSpec, 'runtimeDirectory'>): string[] {
  return argv.slice(1).flatMap((word, at, words) => {
    if (isNoDevice(word, words[at + 1]) || isNoDevice(words[at - 1], word)) return [];
    const unplaced = word.replaceAll(spec.runtimeDirectory, '').replace(MEMORY_OF_MACHINE, '');
    return NAMES_AND_PLACES.reduce((text, [pattern, instead]) => text.replaceAll(pattern, instead), unplaced);
  });
}

function isNoDevice(option = '', value = ''): boolean {
  return NOT_DEVICES.has(option) || (option === '-object' && value.startsWith(MEMORY_FILE_OBJECT));
}

type Abilities = { hasMemoryFile?: boolean; pausesAtEnd?: boolean };

/**
 * Sets each of the abilities that banger uses, because an earlier transfer of the machine may have had others. `migrate` and
 * `migrate-incoming` must agree on `hasMemoryFile`.
 */
export async function setAbilities(qmp: QmpClient, { hasMemoryFile = false, pausesAtEnd = false }: Abilities): Promise<void> {
  const state = { events: true, 'x-ignore-shared': hasMemoryFile, 'pause-before-switchover': pausesAtEnd };
  const capabilities = Object.entries(state).map(([capability, isOn]) => ({ capability, state: isOn }));
  await qmp.command('migrate-set-capabilities', { capabilities });
}

/** QEMU announces no MAC in the network: that of the state may belong to another machine by now. */
export async function prepareToReceive(qmp: QmpClient, hasMemoryFile: boolean): Promise<void> {
  await setAbilities(qmp, { hasMemoryFile });
  await qmp.command('migrate-set-parameters', { 'announce-rounds': 0 });
}

type Transfer = { qmp: QmpClient; watch: MigrationWatch; hasMemoryFile: boolean };

/**
 * Stops the guest and writes its state into a file, with its memory unless that has a file of its own.
 * @throws VMM_FAILED, NO_SPACE, CANCELLED; the guest then stands still until `letGoOn`
 */
export async function saveState(
  { host, qmp, watch, spec, hasMemoryFile }: Transfer & { host: Host; spec: MachineSpec },
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
    await setAbilities(qmp, { hasMemoryFile });
    await qmp.command('migrate-set-parameters', TRANSFER_LIMITS);
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

/**
 * Reads the state that QEMU was given as a descriptor; its guest stands still afterwards.
 * @throws VMM_FAILED
 */
export async function loadState({ qmp, watch, hasMemoryFile }: Transfer): Promise<void> {
  await prepareToReceive(qmp, hasMemoryFile);
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
