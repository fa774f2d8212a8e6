import { overlayOf } from '../capabilities/root-overlay.ts';
import type { OverlayUsage } from '../drivers/storage/contract.ts';
import { formatSize } from '../lib/size.ts';
import { BangerError } from '../model/errors.ts';
import type { LiveMachine } from './machines.ts';
import type { VmContext } from './vm-context.ts';

const MIB = 1024 ** 2;
/** When less is left, more is given: what a guest writes between two looks must fit. */
const LEAST_LEFT_BYTES = 128 * MIB;
/** What is left then; who writes much goes on writing. */
const AHEAD_BYTES = 512 * MIB;

/** What a look at the space asks for. */
export type SpaceDecision = { do: 'nothing' } | { do: 'extend'; sizeBytes: number } | { do: 'report'; problem: string };

/** @returns what keeps the guest from running into the end of the space that its overlay has */
export function decideSpace({ usedBytes, sizeBytes, limitBytes, state }: OverlayUsage): SpaceDecision {
  if (state === 'overflow') {
    return { do: 'report', problem: 'its root disk ran full and takes no more writes; what was written before is kept: restart the VM' };
  }
  if (state === 'invalid') return { do: 'report', problem: 'its root disk is damaged: the file of its changes cannot be read' };
  if (sizeBytes >= limitBytes || sizeBytes - usedBytes >= LEAST_LEFT_BYTES) return { do: 'nothing' };
  return { do: 'extend', sizeBytes: Math.min(usedBytes + AHEAD_BYTES, limitBytes) };
}

/**
 * Keeps an eye on the host's space for the VM for as long as the machine is held: whether its VMM had to pause it, and gives
 * its root overlay space ahead of what the guest writes with drivers that need it. When there is none the VM is paused, so that it loses nothing, and goes on when there is some again (5.4).
 */
export function watchSpace(context: VmContext, live: LiveMachine): void {
  const { signal } = live.companions;
  const { vm, drivers } = context;
  const isMetered = drivers.storage.usage !== undefined;
  // A running VM has a last error from here alone; the daemon that paused it may be gone.
  const watch: Watch = {
    context,
    live,
    told: vm.lastError,
    overlay: isMetered ? vm.lastError : null,
    vmm: null,
    isPaused: isMetered && vm.lastError !== null,
  };
  live.machine.onFullDisk?.((isFull) => {
    watch.vmm = isFull ? "paused: the host's disk is full; it goes on by itself when there is room again (df -h)" : null;
    tell(watch);
  });
  if (!isMetered) return;
  const next = (): void => {
    const timer = setTimeout(() => {
      void look(watch).finally(() => {
        if (!signal.aborted) next();
      });
    }, context.services.settings.spaceCheckMs);
    timer.unref();
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  };
  next();
}

type Watch = {
  context: VmContext;
  live: LiveMachine;
  /** What is wrong with the space of the overlay, and what the VMM said. */
  overlay: string | null;
  vmm: string | null;
  /** What is written down. */
  told: string | null;
  isPaused: boolean;
};

async function look(watch: Watch): Promise<void> {
  const { storage } = watch.context.drivers;
  const overlay = overlayOf(watch.context);
  try {
    const usage = await storage.usage?.(overlay);
    if (usage === undefined) return;
    const decision = decideSpace(usage);
    if (decision.do === 'extend') await storage.extend?.(overlay, decision.sizeBytes);
    if (decision.do !== 'report') await goOn(watch);
    watch.overlay = decision.do === 'report' ? decision.problem : null;
  } catch (error) {
    watch.overlay = await problemOf(watch, error);
  }
  tell(watch);
}

/** @returns what the user is told; the VM has been paused when it is for lack of space */
async function problemOf(watch: Watch, error: unknown): Promise<string> {
  const { machine } = watch.live;
  if (!(error instanceof BangerError) || error.code !== 'NO_SPACE') return `the space of its root disk is not known: ${textOf(error)}`;
  if (machine.pause === undefined) return 'its root disk is nearly full, and the host has no more space';
  try {
    if (!watch.isPaused) await machine.pause();
    watch.isPaused = true;
  } catch (pauseError) {
    return `the host's disk is full, and the VM could not be paused: ${textOf(pauseError)}`;
  }
  return `paused: the host's disk is full; it goes on when there are ${formatSize(AHEAD_BYTES)} again (df -h)`;
}

async function goOn(watch: Watch): Promise<void> {
  if (!watch.isPaused) return;
  await watch.live.machine.resume?.();
  watch.isPaused = false;
}

/** Writes a change down, once. */
function tell(watch: Watch): void {
  const { context, live } = watch;
  const problem = watch.vmm ?? watch.overlay;
  if (problem === watch.told || live.companions.signal.aborted) return;
  watch.told = problem;
  context.services.vms.update(context.vm.id, { lastError: problem });
  context.services.warn(problem === null ? 'a VM has space again' : 'a VM has trouble with its disk', { vm: context.vm.name, problem });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
