import { overlayOf } from '../capabilities/root-overlay.ts';
import { formatSize } from '../lib/size.ts';
import { BangerError } from '../model/errors.ts';
import type { LiveMachine } from './machines.ts';
import { OVERLAY_AHEAD_BYTES, decideHost, decideOverlay, nextLookMs } from './space-decisions.ts';
import type { VmContext } from './vm-context.ts';

/** Who looks at the space of a VM: the VMM itself, the storage driver's count of its overlay, or the host's count of what is free. */
type Source = 'vmm' | 'overlay' | 'host';

/**
 * Keeps an eye on the space for the VM for as long as the machine is held, so that a full disk of the host pauses the guest in place of
 * failing its writes, and it goes on when there is room again (5.4). A VMM that pauses by itself tells of it. For one that cannot
 * (Firecracker hands the error to the guest) the free space of the host is watched, and the VM paused before there is none. And drivers
 * whose overlays are of limited size are given space ahead of what the guest writes.
 */
export function watchSpace(context: VmContext, live: LiveMachine): void {
  const { machine, companions } = live;
  const looks: { source: Source; look(watch: SpaceWatch): Promise<number> }[] = [];
  if (context.drivers.storage.usage !== undefined) looks.push({ source: 'overlay', look: lookAtOverlay });
  if (machine.onFullDisk === undefined && machine.pause !== undefined) looks.push({ source: 'host', look: lookAtHost });
  const watch = new SpaceWatch(
    context,
    live,
    looks.map(({ source }) => source),
  );
  machine.onFullDisk?.((isFull) => {
    watch.tell('vmm', isFull ? "paused: the host's disk is full; it goes on by itself when there is room again (df -h)" : null);
  });
  for (const { look } of looks) repeat(context.services.settings.spaceCheckMs, companions.signal, () => look(watch));
}

/** @param task says when it is due again, in milliseconds */
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

/** What is wrong with the space of one VM, by who said it, and who wants it paused. */
class SpaceWatch {
  readonly context: VmContext;
  readonly #live: LiveMachine;
  readonly #problems = new Map<Source, string | null>();
  /** Those that have not looked yet, while an earlier daemon's word stands. */
  readonly #silent: Set<Source>;
  readonly #holders: Set<Source>;
  /** What is written down. */
  #told: string | null;

  constructor(context: VmContext, live: LiveMachine, sources: readonly Source[]) {
    this.context = context;
    this.#live = live;
    // A running VM has a last error from here alone; the daemon that paused it may be gone.
    this.#told = context.vm.lastError;
    const earlier = this.#told === null ? [] : sources;
    this.#silent = new Set(earlier);
    this.#holders = new Set(earlier);
  }

  /** Pauses the VM for as long as this source does not release it. */
  async hold(source: Source): Promise<void> {
    if (this.#holders.has(source)) return;
    const { machine } = this.#live;
    if (machine.pause === undefined) throw new BangerError('UNSUPPORTED', 'its VMM cannot pause');
    if (this.#holders.size === 0) await machine.pause();
    this.#holders.add(source);
  }

  async release(source: Source): Promise<void> {
    if (!this.#holders.has(source)) return;
    if (this.#holders.size === 1) await this.#live.machine.resume?.();
    this.#holders.delete(source);
  }

  /** Writes a change down, once. */
  tell(source: Source, problem: string | null): void {
    this.#silent.delete(source);
    this.#problems.set(source, problem);
    const worst = [...this.#problems.values()].find((one) => one !== null) ?? null;
    if (worst === this.#told || (worst === null && this.#silent.size > 0) || this.#live.companions.signal.aborted) return;
    this.#told = worst;
    const { services, vm } = this.context;
    services.vms.update(vm.id, { lastError: worst });
    services.warn(worst === null ? 'a VM has space again' : 'a VM has trouble with its disk', { vm: vm.name, problem: worst });
  }
}

async function lookAtOverlay(watch: SpaceWatch): Promise<number> {
  const { drivers, services } = watch.context;
  const overlay = overlayOf(watch.context);
  try {
    const usage = await drivers.storage.usage?.(overlay);
    if (usage !== undefined) {
      const decision = decideOverlay(usage);
      if (decision.do === 'extend') await drivers.storage.extend?.(overlay, decision.sizeBytes);
      if (decision.do !== 'report') await watch.release('overlay');
      watch.tell('overlay', decision.do === 'report' ? decision.problem : null);
    }
  } catch (error) {
    watch.tell('overlay', await problemOfOverlay(watch, error));
  }
  return services.settings.spaceCheckMs;
}

/** @returns what the user is told; the VM has been paused when it is for lack of space */
async function problemOfOverlay(watch: SpaceWatch, error: unknown): Promise<string> {
  if (!(error instanceof BangerError) || error.code !== 'NO_SPACE') return `the space of its root disk is not known: ${textOf(error)}`;
  return pausedFor(watch, 'overlay', OVERLAY_AHEAD_BYTES);
}

async function lookAtHost(watch: SpaceWatch): Promise<number> {
  const { services, paths } = watch.context;
  try {
    const freeBytes = await services.host.freeBytes(paths.directory);
    const decision = decideHost(freeBytes);
    if (decision.do === 'pause') watch.tell('host', await pausedFor(watch, 'host', decision.untilBytes));
    if (decision.do === 'go on') {
      await watch.release('host');
      watch.tell('host', null);
    }
    return nextLookMs(freeBytes, services.settings.spaceCheckMs);
  } catch (error) {
    watch.tell('host', `the free space of the host is not known: ${textOf(error)}`);
    return services.settings.spaceCheckMs;
  }
}

async function pausedFor(watch: SpaceWatch, source: Source, untilBytes: number): Promise<string> {
  try {
    await watch.hold(source);
  } catch (error) {
    return `the host's disk is full, and the VM could not be paused: ${textOf(error)}`;
  }
  return `paused: the host's disk is full; it goes on when there are ${formatSize(untilBytes)} again (df -h)`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
