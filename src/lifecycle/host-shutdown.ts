// Before the host shuts down, its service manager ends every VMM. A VM that is suspended or shut down before that loses nothing.
import type { OperationHandle } from '../context/operations.ts';
import type { LifecycleServices } from '../context/services.ts';
import { BangerError } from '../model/errors.ts';
import type { OperationRecord } from '../model/operation.ts';
import { isPowered } from '../model/vm-state.ts';
import type { Vm, VmRuntime } from '../model/vm.ts';
import { suspendVm } from './vm/suspend.ts';
import { resumeVm, stopVm } from './vm/verbs.ts';

/** What happens to running VMs before the host shuts down. `leave`: nothing. */
export type OnHostShutdown = 'leave' | 'stop' | 'suspend';

/** More at once would take the disk and the processors from each other. */
const AT_ONCE = 2;
/** A guest that is to shut down gets this much at the least, of however little time there is. */
const LEAST_GRACE_MS = 1000;
/** To end a VMM by force after its guest's time. */
const FORCE_MS = 5000;

/** Runs `work` for each item, two at a time, in their order. */
async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = [...items];
  const take = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
}

/**
 * Suspends or stops all running VMs within a time limit. A VM that cannot be suspended, or whose turn does not come in time, is stopped.
 * Those that were suspended are marked: `resumeAfterShutdown` resumes them.
 * @throws WRONG_STATE in the operation if one could not be stopped either
 */
export function prepareShutdown(services: LifecycleServices, how: OnHostShutdown, limitMs: number): OperationRecord {
  return services.operations.begin('daemon.prepare-shutdown', null, async (operation) => {
    if (how === 'leave') return operation.log('on_host_shutdown is "leave": the VMs are left as they are');
    const endMs = performance.now() + limitMs;
    const rest = new Rest(services, operation, endMs);
    if (how === 'suspend') await rest.suspendAll(endMs - FORCE_MS - Math.min(services.settings.stopGraceMs, limitMs / 2));
    await rest.stopAll();
  });
}

class Rest {
  readonly #services: LifecycleServices;
  readonly #operation: OperationHandle;
  readonly #endMs: number;
  readonly #stops = new Map<string, { name: string; isStopped: Promise<boolean> }>();

  constructor(services: LifecycleServices, operation: OperationHandle, endMs: number) {
    this.#services = services;
    this.#operation = operation;
    this.#endMs = endMs;
  }

  #running(): Vm[] {
    return this.#services.vms.records.list().filter((vm) => isPowered(vm.state) || vm.state === 'starting');
  }

  /** The small ones first: more of them come to their turn. */
  async suspendAll(untilMs: number): Promise<void> {
    const late = AbortSignal.timeout(Math.max(0, Math.round(untilMs - performance.now())));
    const vms = this.#running().toSorted((one, other) => one.spec.memoryMib - other.spec.memoryMib);
    await inTurns(vms, async (vm) => {
      if (!late.aborted && (await this.#isSuspended(vm, late))) return;
      // The others need not wait for its guest.
      this.#stop(vm);
    });
  }

  async #isSuspended(vm: Vm, late: AbortSignal): Promise<boolean> {
    const { operations } = this.#services;
    // What was paused stays asleep for the same reason.
    const { id } = suspendVm(this.#services, vm, { endSessions: true, resumes: vm.state !== 'paused', why: vm.sleep?.why ?? 'asked' });
    const cancel = (): void => operations.cancel(id);
    for (const signal of [late, this.#operation.signal]) signal.addEventListener('abort', cancel, { once: true });
    const { state, error } = await operations.settled(id);
    const reason = state === 'cancelled' ? 'there is no time left' : error?.message;
    this.#operation.log(reason === undefined ? `${vm.name} is suspended` : `${vm.name} is not suspended: ${reason}`);
    return reason === undefined;
  }

  #stop(vm: Vm): void {
    const leftMs = Math.round(this.#endMs - performance.now()) - FORCE_MS;
    const graceMs = Math.max(LEAST_GRACE_MS, Math.min(this.#services.settings.stopGraceMs, leftMs));
    const { operations } = this.#services;
    const stop = async (): Promise<boolean> => {
      const { error } = await operations.settled(stopVm(this.#services, vm, { graceMs }).id);
      this.#operation.log(error === null ? `${vm.name} is stopped` : `${vm.name} is not stopped: ${error.message}`);
      return error === null;
    };
    this.#stops.set(vm.id, { name: vm.name, isStopped: stop() });
  }

  async stopAll(): Promise<void> {
    for (const vm of this.#running()) if (!this.#stops.has(vm.id)) this.#stop(vm);
    const left: string[] = [];
    for (const { name, isStopped } of this.#stops.values()) if (!(await isStopped)) left.push(name);
    if (left.length === 0) return;
    const remedy = `banger vm kill ${left.join(' ')}`;
    throw new BangerError('WRONG_STATE', `these VMs could not be stopped: ${left.join(', ')}`, { remedy, details: { left } });
  }
}

/** @returns whether the VM was suspended for a shutdown of the host, and is to go on after it */
export function isToResume({ state, runtime }: { state: Vm['state']; runtime: VmRuntime | null }): boolean {
  return state === 'suspended' && runtime?.resumes === true;
}

/** Resumes the VMs that were suspended for a shutdown of the host. What cannot be resumed stays suspended, with the reason. */
export async function resumeAfterShutdown(services: LifecycleServices, ending: AbortSignal): Promise<void> {
  const vms = services.vms.records.list().filter(isToResume);
  await inTurns(vms, async (vm) => {
    if (ending.aborted) return;
    const { error } = await services.operations.settled(resumeVm(services, vm).id);
    if (error !== null) services.world.warn('a VM could not be resumed after a shutdown', { vm: vm.name, reason: error.message });
  });
}
