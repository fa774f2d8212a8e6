import { standByAgain } from '../capabilities/idle.ts';
import type { ErrorBody } from '../model/errors.ts';
import { wakesOnUse } from '../model/vm-sleep.ts';
import { isAtRest, recoveryOf } from '../model/vm-state.ts';
import type { Vm } from '../model/vm.ts';
import type { OperationStore } from '../store/operations.ts';
import { adopt, settleEnded } from './adopt.ts';
import { recoverImages } from './image/recover.ts';
import { runAll } from '../context/pipeline.ts';
import { restoreLost, restoreOutdated } from './restore.ts';
import type { LifecycleServices } from '../context/services.ts';
import { sweepOrphans } from './sweep.ts';
import { makeContext, type VmContext } from '../context/vm-context.ts';
import { removeVm } from './vm/delete-steps.ts';
import { stopSteps } from './vm/stop-steps.ts';
import { messageOf } from '../lib/message-of.ts';

/** How many log directories of deleted VMs are kept. */
const KEPT_LOGS = 20;

/** Names of VMs by what happened to them, names of restored images, and findings that belong to no VM. */
export type Recovery = {
  restored: string[];
  adopted: string[];
  /** They run and could not be adopted. */
  left: string[];
  stopped: string[];
  deleted: string[];
  failed: string[];
  restoredImages: string[];
  swept: string[];
};

/**
 * Recovers after the end of the last daemon, whatever it was doing: adopts running VMs, removes half-made ones, stops half-stopped ones,
 * and sweeps what belongs to no VM. Before that, it restores VMs from their manifests if their records are lost or older than what runs.
 */
export async function recover(services: LifecycleServices, operations: OperationStore): Promise<Recovery> {
  const report: Recovery = { restored: [], adopted: [], left: [], stopped: [], deleted: [], failed: [], restoredImages: [], swept: [] };
  report.restoredImages = await recoverImages(services);
  report.restored = [...(await restoreLost(services)), ...(await restoreOutdated(services))];
  await Promise.all(services.vms.records.listAll().map((vm) => recoverVm(services, vm, report)));
  endInterrupted(services, operations);
  const asleep = services.vms.records.list().filter((vm) => vm.state === 'suspended' && wakesOnUse(vm));
  await Promise.all(asleep.map((vm) => standByAgain(makeContext(services, vm))));
  try {
    report.swept = await sweepOrphans(services);
  } catch (error) {
    services.world.warn('the search for leftovers of VMs failed', {
      reason: messageOf(error),
    });
  }
  await pruneLogs(services);
  return report;
}

/** Operations that the last daemon left unfinished. On a full disk they stay so: a running daemon is worth more than a tidy list. */
function endInterrupted(services: LifecycleServices, operations: OperationStore): void {
  for (const operation of operations.running()) {
    const error: ErrorBody = {
      code: 'INTERRUPTED',
      message: 'the daemon ended during the operation; its work was undone or finished since',
    };
    tryToWrite(services, () => operations.end(operation.id, 'failed', services.world.clock.now().toISOString(), error));
  }
}

function tryToWrite(services: LifecycleServices, write: () => void): void {
  try {
    write();
  } catch (error) {
    services.world.warn('the recovery could not be recorded', { reason: messageOf(error) });
  }
}

/** Failed creations leave their logs, which tell why; only the newest are worth their space. */
async function pruneLogs({ world: { files }, vms: { records: vms, pathsOf } }: LifecycleServices): Promise<void> {
  const logs = await files.namesByAge(pathsOf({ id: '' }).logDirectory);
  const ownerless = logs.filter((id) => vms.find(id) === undefined);
  for (const id of ownerless.slice(KEPT_LOGS)) await files.removeTree(pathsOf({ id }).logDirectory);
}

async function recoverVm(services: LifecycleServices, vm: Vm, report: Recovery): Promise<void> {
  // Nearly all of thousands of VMs are stopped, and need no further checks.
  if (recoveryOf(vm) === 'leave') return;
  const context = makeContext(services, vm);
  try {
    report[await settle(context)].push(vm.name);
  } catch (error) {
    const reason = messageOf(error);
    report.failed.push(vm.name);
    services.world.warn('a VM could not be recovered', { vm: vm.name, reason });
    // The work may have stopped it in spite of the failure. A deletion that is not finished waits for the next attempt.
    const { state } = context.vm;
    if (state !== 'deleting') tryToWrite(services, () => context.move(isAtRest(state) ? state : 'error', { lastError: reason }));
  }
}

/** @returns what happened to it */
async function settle(context: VmContext): Promise<'adopted' | 'left' | 'stopped' | 'deleted'> {
  const { vm } = context;
  const run = { context, journal: () => undefined, signal: new AbortController().signal };
  const recovery = recoveryOf(vm);
  if (recovery === 'remove') {
    await removeVm(run);
    return 'deleted';
  }
  if (recovery === 'adopt') {
    const adoption = await adopt(context);
    if (adoption !== 'ended') return adoption;
    await settleEnded(context);
  } else await runAll({ ...run, steps: stopSteps({ ask: false, reason: { lastError: vm.lastError } }) });
  return 'stopped';
}
