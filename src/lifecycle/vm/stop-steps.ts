import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Step } from '../../context/pipeline.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { stepsOf } from './capability-steps.ts';
import type { LiveMachine } from '../../context/machines.ts';
import { discardWithdrawn, hasSnapshot } from './snapshot.ts';
import { assertEnded, endVmm, runtimeAtRest } from './vmm.ts';

/** How long the guest may take to confirm that it will power off. */
const ASK_TIMEOUT_MS = 3000;

/** How the VM ended, for the record. */
export type StopReason = { lastError: string | null };

/**
 * All steps from a running VM (or its remains) to a stopped one. Run them with runAll: each step is tried.
 * @param options.ask whether to let the guest shut down by itself, within graceMs
 */
export function stopSteps(options: { ask: boolean; graceMs?: number; reason?: StopReason }): Step<VmContext>[] {
  return [...takeDownSteps(options), settle(options.reason ?? { lastError: null })];
}

/** The same, for a VM whose record does not say that it is stopped. */
export function takeDownSteps(options: { ask: boolean; graceMs?: number }): Step<VmContext>[] {
  const release = (kind: 'beforeStart' | 'afterStart'): Step<VmContext>[] =>
    stepsOf(ALL_CAPABILITIES, kind)
      .toReversed()
      .flatMap((step) => (step.undo === undefined ? [] : { name: step.name, title: `release ${step.title}`, apply: step.undo }));
  return [
    ...release('afterStart'),
    ...(options.ask ? [askGuest(options.graceMs)] : []),
    { name: 'vmm', title: 'end VMM', apply: endVmm },
    ...release('beforeStart'),
  ];
}

function askGuest(graceMs: number | undefined): Step<VmContext> {
  return {
    name: 'guest',
    title: 'guest shut-down',
    async apply({ services, vm }, signal) {
      const live = services.vms.machines.find(vm.id);
      if (live === undefined) return;
      // One that stands still cannot shut down.
      if (vm.sleep !== null) await live.machine.resume?.();
      const over = Promise.race([live.machine.exited, elapsed(graceMs ?? services.settings.stopGraceMs, signal)]);
      const done = new AbortController();
      // The grace period also limits the request itself: neither guest agent nor VMM may answer.
      void ask(live, AbortSignal.any([signal, done.signal]));
      await over;
      done.abort();
    },
  };
}

async function ask({ agent, machine }: LiveMachine, signal: AbortSignal): Promise<void> {
  const asked = await answered(agent.poweroff({ reboot: false }, { signal, timeoutMs: ASK_TIMEOUT_MS }));
  // A guest whose agent is silent may still react to its power button.
  if (!asked && !signal.aborted) await answered(machine.requestShutdown());
}

async function answered(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch {
    // A guest that cannot be asked is ended by force in the next step.
    return false;
  }
}

/** @returns false after `ms`, or at once if the signal fires: a cancelled wait ends the grace period, not the stop. */
function elapsed(ms: number, signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const timer = setTimeout(() => resolve(false), ms);
    timer.unref();
    signal.addEventListener('abort', () => resolve(false), { once: true });
  });
}

function settle(reason: StopReason): Step<VmContext> {
  return {
    name: 'settle',
    title: 'stopped',
    /** Whatever ended it: with its memory on disk it can go on. */
    async apply(context) {
      const { services, paths, vm, move } = context;
      assertEnded(context);
      await services.world.files.removeTree(paths.runtimeDirectory);
      await discardWithdrawn(context);
      const state = (await hasSnapshot(context)) ? 'suspended' : 'stopped';
      const sleep =
        state === 'suspended' ? (vm.sleep ?? { since: services.world.clock.now().toISOString(), why: 'asked', ports: [] }) : null;
      move(state, { startedAt: null, runtime: runtimeAtRest(context), sleep, lastError: reason.lastError });
    },
  };
}
