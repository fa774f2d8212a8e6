// A second QEMU becomes what a running one is: the memory goes over by a live migration on this host, while jobs copy the disks. Both end at
// the one moment at which the first machine stands still.
import { BangerError } from '../../../model/errors.ts';
import type { MachineDisk, MachineSpec } from '../contract.ts';
import { differences, type SnapshotKey } from '../snapshot-key.ts';
import { type DiskCopies, dropCopies, hasCopies } from './disk-copies.ts';
import type { QmpClient } from './qmp-client.ts';
import { letGoOn, type MigrationWatch, prepareToReceive, setAbilities, TRANSFER_LIMITS } from './snapshot.ts';

/** How long the guest may stand still for the last of its memory. */
const PAUSE_MS = 60;
/** A guest that still writes faster than this is sent after so many passes stands still longer, so that the transfer ends. */
const PATIENT_PASSES = 4;
const LONGEST_PAUSE_MS = 2000;

/** The machine that is there already. */
export type ForkSource = { qmp: QmpClient; accelerator: 'kvm' | 'tcg'; migration: MigrationWatch; copies: DiskCopies };

/** @returns how long the guest may stand still at the end of this pass over its memory */
export function pauseLimitMs(pass: number): number {
  return Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** Math.max(0, pass - PATIENT_PASSES));
}

/**
 * Refuses to make another machine out of a machine that was started otherwise: QEMU itself checks little of that.
 * @throws UNSUPPORTED
 */
export function assertAlike({ vmName }: MachineSpec, running: SnapshotKey, present: SnapshotKey): void {
  const changes = differences(running, present);
  if (changes.length === 0) return;
  throw new BangerError('UNSUPPORTED', `${vmName} cannot be forked: since it was started, ${changes.join('; ')}`, {
    remedy: `banger vm restart ${vmName}`,
    details: { vm: vmName, changes },
  });
}

/** Lets a QEMU wait for the memory of another one. @returns waits until it has it. @throws VMM_FAILED */
export async function receiveMachine(qmp: QmpClient, migration: MigrationWatch, socketPath: string): Promise<() => Promise<void>> {
  await prepareToReceive(qmp, false);
  const received = migration.begin(qmp);
  await qmp.command('migrate-incoming', { uri: `unix:${socketPath}` });
  return received;
}

/** What the source is sent to. */
export type ForkTarget = { disks: readonly MachineDisk[]; socketPath: string };

/**
 * Sends memory to the QEMU that waits for it, and copies the disks. The guest runs as before afterwards, and after a failure too.
 * @param to.disks the blank ones
 * @throws VMM_FAILED, CANCELLED
 */
export async function sendMachine(source: ForkSource, to: ForkTarget, signal: AbortSignal): Promise<void> {
  const { qmp, copies } = source;
  const { running: wasRunning } = (await qmp.command('query-status')) as { running: boolean };
  const onAbort = (): void => {
    copies.giveUp('it was cancelled');
    void qmp.command('migrate_cancel').catch(() => undefined);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  void qmp.closed.then(() => copies.giveUp('QEMU has ended'));
  try {
    await send(source, to, signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    source.migration.onPass = () => undefined;
    await (wasRunning ? letGoOn(qmp) : qmp.command('migrate_cancel'));
    await dropCopies(qmp);
  }
}

async function send(source: ForkSource, { disks, socketPath }: ForkTarget, signal: AbortSignal): Promise<void> {
  const { qmp, migration, copies } = source;
  await copies.begin(qmp, disks);
  // A guest that waits for the copies of its disks would stand still for long.
  await copies.ready();
  await setAbilities(qmp, { pausesAtEnd: true });
  if (signal.aborted) throw new BangerError('CANCELLED', 'the fork was cancelled', { cause: signal.reason });
  const still = await (source.accelerator === 'kvm' ? sendInPasses : sendInOnePass)(source, `unix:${socketPath}`);
  await still();
  await copies.end(qmp);
  const sent = migration.begin(qmp);
  await qmp.command('migrate-continue', { state: 'pre-switchover' });
  await sent();
}

type Sender = (source: ForkSource, uri: string) => Promise<() => Promise<void>>;

/** KVM knows each page that the guest writes. @returns waits until the guest stands still */
const sendInPasses: Sender = async ({ qmp, migration }, uri) => {
  const limitPause = (pass: number) => qmp.command('migrate-set-parameters', { ...TRANSFER_LIMITS, 'downtime-limit': pauseLimitMs(pass) });
  await limitPause(1);
  // If it fails, QEMU has ended, which ends the wait.
  migration.onPass = (pass) => void limitPause(pass).catch(() => undefined);
  const still = migration.begin(qmp, 'pre-switchover');
  await qmp.command('migrate', { uri });
  return still;
};

/**
 * TCG misses pages (docs/adr/0017-memory-of-emulated-machines.md), unless the guest stands still whenever QEMU collects what was written: at
 * the begin, and at the end of a pass. A limit of 0 makes the first pass the only one while the guest runs.
 * @returns waits until the guest stands still
 */
const sendInOnePass: Sender = async ({ qmp, migration }, uri) => {
  const { running } = (await qmp.command('query-status')) as { running: boolean };
  await qmp.command('migrate-set-parameters', { ...TRANSFER_LIMITS, 'downtime-limit': 0 });
  const collected = Promise.withResolvers<void>();
  migration.onPass = () => collected.resolve();
  const still = migration.begin(qmp, 'pre-switchover');
  if (running) await qmp.command('stop');
  await qmp.command('migrate', { uri });
  const ended = still();
  await Promise.race([collected.promise, ended]);
  if (running) await qmp.command('cont');
  return () => ended;
};

/** Lets a guest go on whose fork its daemon did not end. @param status of QEMU. @throws VMM_FAILED */
export async function endForkOfEarlierDaemon(qmp: QmpClient, status: string): Promise<void> {
  const isInFork = await hasCopies(qmp);
  const standsStill = status === 'finish-migrate' || status === 'postmigrate' || (status === 'paused' && isInFork);
  await (standsStill ? letGoOn(qmp) : qmp.command('migrate_cancel'));
  if (isInFork) await dropCopies(qmp);
}
