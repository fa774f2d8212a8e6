import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { LiveMachine } from '../../context/machines.ts';
import type { Step } from '../../context/pipeline.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { messageOf } from '../../lib/message-of.ts';
import { BangerError } from '../../model/errors.ts';
import type { Vm } from '../../model/vm.ts';
import { joinIn, leave } from '../adopt.ts';
import { stepsOf } from './capability-steps.ts';
import { discardWithdrawn, reinstateSnapshot, withdrawSnapshot } from './snapshot.ts';
import { claim, machineUp } from './start-steps.ts';
import { endVmm, machineSpec } from './vmm.ts';

/** A guest that was restored answers within a second; one that has much to translate anew, or a busy host, takes longer. */
const ANSWER_MS = 20_000;

/** Everything from a suspended VM to one that stands still and can go on; undone in reverse when any of it fails. */
export function resumeSteps(): Step<VmContext>[] {
  return [claim(false), ...stepsOf(ALL_CAPABILITIES, 'beforeStart'), restore, withdraw];
}

const restore: Step<VmContext> = {
  name: 'restore',
  title: 'memory',
  async apply(context, signal) {
    const { vm, drivers, paths } = context;
    try {
      const { hypervisor } = drivers;
      if (hypervisor.restore === undefined) {
        throw new BangerError('SNAPSHOT_UNUSABLE', `${vm.name} cannot be resumed: ${hypervisor.name} has no snapshots`);
      }
      machineUp(context, await hypervisor.restore(machineSpec(context), paths.snapshot, signal));
    } catch (error) {
      throw signal.aborted ? error : withWayOut(vm, error);
    }
  },
  undo: (context) => endVmm(context),
};

function withWayOut({ name }: Vm, error: unknown): unknown {
  if (!(error instanceof BangerError)) return error;
  const { code, message, details, logPath } = error;
  const remedy = `banger vm start --discard-memory ${name}`;
  return new BangerError(code, message, { remedy, details, logPath, cause: error });
}

/** The last step that can be undone; from its end on nobody else goes on from the memory. */
const withdraw: Step<VmContext> = {
  name: 'withdraw',
  title: 'withdraw memory from disk',
  async apply(context) {
    // The next daemon does not end it from here on, but lets it go on.
    context.update({ startedAt: context.services.world.clock.now().toISOString() });
    await withdrawSnapshot(context);
  },
  undo: reinstateSnapshot,
};

/**
 * Lets a restored VM run. From here on its memory exists only in the VMM, so after any failure the VMM is left alone, and adopted when that
 * is possible.
 */
export async function goOn(context: VmContext): Promise<void> {
  const { services, vm, move } = context;
  const live = services.vms.machines.get(vm);
  try {
    await live.machine.resume?.();
    const lastError = await reintroduce(context, live);
    const now = services.world.clock.now().toISOString();
    move('running', { startedAt: now, lastUsedAt: now, sleep: null, lastError });
    await discardWithdrawn(context);
    for (const failure of await joinIn(context, live)) throw failure;
  } catch (error) {
    live.machine.detach();
    services.vms.machines.remove(vm.id);
    leave(context, error);
    throw error;
  }
}

/** @returns why the guest does not know that it was restored; null when it does */
async function reintroduce({ services, vm }: VmContext, { agent }: LiveMachine): Promise<string | null> {
  const { ids, warn } = services.world;
  try {
    await agent.personalize({ restored: true, randomSeed: ids.randomBase64(64), unixMs: 'now' }, { timeoutMs: ANSWER_MS });
    return null;
  } catch (error) {
    warn('a VM that was resumed was not told so', { vm: vm.name, reason: messageOf(error) });
    return `it was resumed, and its guest agent did not take the time and fresh random numbers: ${messageOf(error)}`;
  }
}
