// Adopts VMs that the last daemon left running. If this daemon cannot take over a VM, for whatever reason and however long, it leaves the
// VMM alone, shows the VM as running with the reason, and tries again.
import { ALL_CAPABILITIES } from '../capabilities/all.ts';
import { standByAgain } from '../capabilities/idle.ts';
import { reachPorts } from '../capabilities/ports.ts';
import type { Machine } from '../drivers/hypervisor/contract.ts';
import { BangerError } from '../model/errors.ts';
import { isPowered } from '../model/vm-state.ts';
import type { ProcessIdentity, Vm } from '../model/vm.ts';
import type { LiveMachine } from '../context/machines.ts';
import { runAll } from '../context/pipeline.ts';
import type { LifecycleServices } from '../context/services.ts';
import { makeContext, type VmContext } from '../context/vm-context.ts';
import { stepsOf } from './vm/capability-steps.ts';
import { accompany } from './vm/companions.ts';
import { isForRescue } from './vm/rescue.ts';
import { discardWithdrawn, isSnapshotUnderWay, withdrawSnapshot } from './vm/snapshot.ts';
import { stopSteps } from './vm/stop-steps.ts';
import { adoptionSpec, findVmm } from './vm/vmm.ts';
import { messageOf } from '../lib/message-of.ts';

/** `left`: it runs, or may run, and this daemon does not hold it. */
export type Adoption = 'adopted' | 'ended' | 'left';

/**
 * Takes over a VM that is recorded as running, as far as this daemon does not hold it yet. The caller holds the VM's lock. What fails now
 * is retried, so the caller only has to handle `ended`.
 */
export async function adopt(context: VmContext): Promise<Adoption> {
  const { services, vm } = context;
  let live = services.vms.machines.find(vm.id);
  if (live === undefined) {
    try {
      const process = await findVmm(context);
      if (process === undefined) return 'ended';
      const machine = await adoptMachine(context, process);
      if (machine === undefined) return 'ended';
      live = await hold(context, machine);
    } catch (error) {
      leave(context, error);
      return 'left';
    }
  }
  if (!(await joinNetwork(context, live))) tryLater(services, vm.id);
  return 'adopted';
}

/** @returns undefined if it has ended meanwhile */
async function adoptMachine(context: VmContext, process: ProcessIdentity): Promise<Machine | undefined> {
  const { services, vm } = context;
  // Record the process before the VMM answers: as long as it lives, nothing may treat the VM as stopped.
  context.update({ runtime: { bootId: services.world.processes.bootId(), ...vm.runtime, process } });
  // Who paused it for want of space continues it, and nobody else does so; but for a snapshot nobody is there any more.
  const mayStandStill = await isSnapshotUnderWay(context);
  await withdrawSnapshot(context);
  const machine = await context.drivers.hypervisor.adopt(adoptionSpec(context), process);
  if (machine !== undefined && mayStandStill) {
    if (vm.state !== 'paused') await machine.resume?.();
    await discardWithdrawn(context);
  }
  if (machine !== undefined || !services.world.processes.isAlive(process)) return machine;
  throw new BangerError('VMM_FAILED', `process ${process.pid}, recorded as the VMM of ${vm.name}, is another program`);
}

async function hold(context: VmContext, machine: Machine): Promise<LiveMachine> {
  const { services, vm } = context;
  const isNews = vm.state !== 'running' || services.vms.machines.whyLeft(vm.id) !== undefined;
  // A crash may have come between the record and the pause.
  if (vm.state === 'paused') await machine.pause?.();
  const live = services.vms.machines.add(vm.id, machine, services.vms.connectAgent(machine));
  if (vm.state === 'paused') context.update({ lastError: null });
  else if (isNews) context.move('running', { lastError: null, sleep: null });
  if (vm.state === 'paused') await standByAgain(context);
  else await rejoin(context, live);
  return live;
}

/** Starts everything that runs beside a VM whose guest runs already. @returns the failures */
export async function rejoin(context: VmContext, live: LiveMachine): Promise<unknown[]> {
  accompany(context, live, 'whilePowered');
  return joinIn(context, live);
}

/** Starts everything that runs beside a VM whose guest is up. A part that fails is left out, because the guest runs. @returns the failures */
export async function joinIn(context: VmContext, live: LiveMachine): Promise<unknown[]> {
  const failures: unknown[] = [];
  const { services, vm } = context;
  accompany(context, live, 'whileUp');
  // The start of the VM waited for the services; waiting again would delay the daemon.
  const isRescue = vm.runtime?.rescue === true;
  const capabilities = ALL_CAPABILITIES.filter((one) => one.traits?.waitsForGuest !== true && (!isRescue || isForRescue(one)));
  for (const step of stepsOf(capabilities, 'afterStart')) {
    try {
      await step.apply(context, new AbortController().signal);
    } catch (error) {
      failures.push(error);
      services.world.warn('a part of a VM could not be adopted', { vm: vm.name, part: step.title, reason: messageOf(error) });
    }
  }
  return failures;
}

/** The daemon reaches the guest through its VMM, so it keeps a VM without its network. @returns whether the network is attached */
async function joinNetwork(context: VmContext, live: LiveMachine): Promise<boolean> {
  const { services, vm } = context;
  const before = live.networkProblem;
  try {
    await services.vms.drivers.refreshNetworks(vm.runtime);
    const { network } = context.recorded;
    await network?.ensure(new AbortController().signal);
    if ((await network?.isAttached?.(context.network)) === false) {
      throw new BangerError('NETWORK_FAILED', `its holder has ended; banger vm restart ${vm.name} reconnects the VM`);
    }
    live.networkProblem = null;
    if (before === null || vm.state === 'paused') return true;
    await reachPorts(context, live);
    if (services.vms.records.find(vm.id)?.lastError === before) context.update({ lastError: null });
    return true;
  } catch (error) {
    live.networkProblem = `its network could not be adopted: ${messageOf(error)}`;
    if (live.networkProblem !== before) tell(context, live.networkProblem);
    return false;
  }
}

/** Leaves a VMM alone, says why, and tries to adopt it later. */
export function leave(context: VmContext, error: unknown): void {
  const { services, vm } = context;
  const reason = messageOf(error);
  const isNews = services.vms.machines.whyLeft(vm.id) !== reason;
  services.vms.machines.leave(vm.id, reason);
  if (isNews) tell(context, `not adopted: ${reason}`);
  tryLater(services, vm.id);
}

/** The full disk may be the one that holds the database. */
function tell(context: VmContext, lastError: string): void {
  const { services, vm } = context;
  services.world.warn('a running VM is not fully under control', { vm: vm.name, reason: lastError });
  try {
    if (vm.state === 'paused') context.update({ lastError });
    else context.move('running', { sleep: null, lastError });
  } catch (error) {
    services.world.warn('the problem of a VM could not be recorded', { vm: vm.name, reason: messageOf(error) });
  }
}

function tryLater(services: LifecycleServices, vmId: string): void {
  const never = new AbortController().signal;
  services.vms.retries.begin(`adopt ${vmId}`, () =>
    services.vms.locks.hold(vmId, never, async () => isWhole(services, await again(services, vmId))),
  );
}

/**
 * Tries once more to adopt a VM that was left alone, and cleans up after one that has ended. The caller holds the VM's lock.
 * @returns the VM's present record
 */
export async function again(services: LifecycleServices, vmId: string): Promise<Vm | undefined> {
  const vm = services.vms.records.find(vmId);
  if (vm === undefined || isWhole(services, vm)) return vm;
  const context = makeContext(services, vm);
  if ((await adopt(context)) === 'ended') await settleEnded(context);
  return services.vms.records.find(vmId);
}

/** @returns whether there is nothing to adopt */
function isWhole(services: LifecycleServices, vm: Vm | undefined): boolean {
  if (vm === undefined || !isPowered(vm.state)) return true;
  return services.vms.machines.whyLeft(vm.id) === undefined && (services.vms.machines.find(vm.id)?.networkProblem ?? null) === null;
}

/** Cleans up after a VMM that ended while no daemon held it. */
export async function settleEnded(context: VmContext): Promise<void> {
  const steps = stopSteps({ ask: false, reason: { lastError: 'the VM had ended when the daemon came back' } });
  await runAll({ steps, context, journal: () => undefined, signal: new AbortController().signal });
}

/**
 * @returns the machine of a VM; tries once more to adopt a VM that was left alone
 * @throws WRONG_STATE if the VM does not run, or cannot be adopted
 */
export async function held(services: LifecycleServices, vm: Vm, signal = new AbortController().signal): Promise<LiveMachine> {
  if (services.vms.machines.whyLeft(vm.id) !== undefined) await services.vms.locks.hold(vm.id, signal, () => again(services, vm.id));
  return services.vms.machines.get(vm);
}
