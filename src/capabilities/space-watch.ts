import { rootDiskOf } from './root-overlay.ts';
import { formatSize } from '../lib/size.ts';
import { BangerError } from '../model/errors.ts';
import type { LiveMachine } from '../context/machines.ts';
import { OVERLAY_AHEAD_BYTES, decideHost, decideOverlay, nextLookMs } from './space-decisions.ts';
import type { VmContext } from '../context/vm-context.ts';
import { messageOf } from '../lib/message-of.ts';

/** Who reports on the space of a VM: the VMM itself, the storage driver's count of its overlay, or the host's free space. */
type Source = 'vmm' | 'overlay' | 'host';

const FULL = "the host's disk is full";

/**
 * Watches the space of a VM while the daemon holds the machine. When the host's disk is full, the guest's writes wait instead of failing,
 * and continue when there is room again. A VMM that pauses by itself reports it. For Firecracker, which hands the error to the guest,
 * banger watches the host's free space and holds the disks before it runs out. Overlays of limited size are extended before the guest fills
 * them.
 */
export function watchSpace(context: VmContext, live: LiveMachine): void {
  const { machine, companions } = live;
  const looks: { source: Source; look(watch: SpaceWatch): Promise<number> }[] = [];
  if (context.recorded.storage?.root.usage !== undefined) looks.push({ source: 'overlay', look: lookAtOverlay });
  if (machine.onFullDisk === undefined) looks.push({ source: 'host', look: lookAtHost });
  const watch = new SpaceWatch(
    context,
    live,
    looks.map(({ source }) => source),
  );
  machine.onFullDisk?.((isFull) => {
    watch.tell('vmm', isFull ? `${FULL}: it is paused until there is room again (df -h)` : null);
  });
  for (const { look } of looks) repeat(context.services.settings.spaceCheckMs, companions.signal, () => look(watch));
}

/** @param task returns when it must run again, in milliseconds */
function repeat(firstMs: number, signal: AbortSignal, task: () => Promise<number>): void {
  let timer: NodeJS.Timeout | undefined;
  const schedule = (ms: number): void => {
    if (signal.aborted) return;
    timer = setTimeout(() => void task().then(schedule), ms);
    timer.unref();
  };
  schedule(firstMs);
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
}

/** The problems with the space of one VM, by their source, and which sources hold its writes. */
class SpaceWatch {
  readonly context: VmContext;
  readonly #live: LiveMachine;
  readonly #problems = new Map<Source, string | null>();
  /** Sources that have not checked yet. */
  readonly #silent: Set<Source>;
  /** An earlier daemon may have died between holding the disks and recording it, so each source begins by releasing. */
  readonly #holders: Set<Source>;
  /** The recorded problem. */
  #told: string | null;

  constructor(context: VmContext, live: LiveMachine, sources: readonly Source[]) {
    this.context = context;
    this.#live = live;
    // The last error of a running VM comes from here alone; the daemon that paused the VM may be gone.
    this.#told = context.vm.lastError;
    this.#silent = new Set(sources);
    this.#holders = new Set(sources);
  }

  /** Holds the guest's writes until this source releases them. @returns what waits, for the user */
  async hold(source: Source): Promise<string> {
    const { machine } = this.#live;
    if (this.#silent.has(source) || this.#holders.size === 0) {
      if (machine.holdDisks !== undefined) await machine.holdDisks(true);
      else if (machine.pause !== undefined) await machine.pause();
      else throw new BangerError('UNSUPPORTED', 'its VMM can do neither');
    }
    this.#holders.add(source);
    return machine.holdDisks === undefined ? 'it is paused' : 'its disks wait';
  }

  async release(source: Source): Promise<void> {
    if (!this.#holders.has(source)) return;
    const { machine } = this.#live;
    if (this.#holders.size === 1) await (machine.holdDisks === undefined ? machine.resume?.() : machine.holdDisks(false));
    this.#holders.delete(source);
  }

  /** Records a change once. */
  tell(source: Source, problem: string | null): void {
    this.#silent.delete(source);
    this.#problems.set(source, problem);
    const worst = [...this.#problems.values()].find((one) => one !== null) ?? null;
    // Until every source has checked, the record of an earlier daemon stays.
    if (worst === this.#told || (worst === null && this.#silent.size > 0) || this.#live.companions.signal.aborted) return;
    const { services, vm } = this.context;
    try {
      services.vms.records.update(vm.id, { lastError: worst });
    } catch (error) {
      // The full disk may be the one that holds the database; the next check records it.
      services.world.warn('the problem of a VM could not be recorded', { vm: vm.name, problem: worst, reason: messageOf(error) });
      return;
    }
    this.#told = worst;
    services.world.warn(worst === null ? 'a VM has space again' : 'a VM has a problem with its disk', { vm: vm.name, problem: worst });
  }
}

async function lookAtOverlay(watch: SpaceWatch): Promise<number> {
  const { services } = watch.context;
  const disks = watch.context.recorded.storage?.root;
  const disk = rootDiskOf(watch.context);
  try {
    const usage = await disks?.usage?.(disk);
    if (usage !== undefined) {
      const decision = decideOverlay(usage);
      if (decision.do === 'extend') await disks?.extend?.(disk, decision.sizeBytes);
      if (decision.do !== 'report') await watch.release('overlay');
      watch.tell('overlay', decision.do === 'report' ? decision.problem : null);
    }
  } catch (error) {
    watch.tell('overlay', await problemOfOverlay(watch, error));
  }
  return services.settings.spaceCheckMs;
}

/** @returns the message for the user; if space is short, the guest's writes wait */
async function problemOfOverlay(watch: SpaceWatch, error: unknown): Promise<string> {
  if (!(error instanceof BangerError) || error.code !== 'NO_SPACE') return `the space of its root disk is not known: ${messageOf(error)}`;
  return heldFor(watch, 'overlay', OVERLAY_AHEAD_BYTES);
}

async function lookAtHost(watch: SpaceWatch): Promise<number> {
  const { services, paths } = watch.context;
  try {
    const freeBytes = await services.world.files.freeBytes(paths.directory);
    const decision = decideHost(freeBytes);
    if (decision.do === 'hold') watch.tell('host', await heldFor(watch, 'host', decision.untilBytes));
    if (decision.do === 'go on') {
      await watch.release('host');
      watch.tell('host', null);
    }
    return nextLookMs(freeBytes, services.settings.spaceCheckMs);
  } catch (error) {
    watch.tell('host', `the free space of the host is not known: ${messageOf(error)}`);
    return services.settings.spaceCheckMs;
  }
}

async function heldFor(watch: SpaceWatch, source: Source, untilBytes: number): Promise<string> {
  try {
    return `${FULL}: ${await watch.hold(source)} until there are ${formatSize(untilBytes)} again (df -h)`;
  } catch (error) {
    return `${FULL}, and the VM could not be made to wait: ${messageOf(error)}`;
  }
}
