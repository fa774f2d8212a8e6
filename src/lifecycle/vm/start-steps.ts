import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Machine } from '../../drivers/hypervisor/contract.ts';
import type { CallOptions } from '../../guest/agent-call.ts';
import type { AgentClient } from '../../guest/agent-client.ts';
import { BangerError } from '../../model/errors.ts';
import type { Step } from '../../context/pipeline.ts';
import type { GuestDraft, VmContext } from '../../context/vm-context.ts';
import { explainBootFailure } from './boot-failure.ts';
import { stepsOf } from './capability-steps.ts';
import { accompany } from './companions.ts';
import { tellTroubles } from '../../context/guest-troubles.ts';
import { hasSnapshot } from './snapshot.ts';
import { isForRescue, rescueRoot, rescueRootPath } from './rescue.ts';
import { assertEnded, endVmm, machineSpec, runtimeAtRest } from './vmm.ts';
import { given } from '../../lib/given.ts';

/** `rescue`: an image's root file system beside the VM's own disks, which stay untouched. */
export type StartOptions = { waitForServices: boolean; rescue?: boolean };

/** All steps from a stopped VM to a running one; undone in reverse if any of them fails. */
export function startSteps(options: StartOptions): Step<VmContext>[] {
  return [...bringUpSteps(options), announce];
}

/** The same, for a VM whose record does not say that it runs. */
export function bringUpSteps(options: StartOptions, capabilities = ALL_CAPABILITIES): Step<VmContext>[] {
  const { rescue = false } = options;
  return [claim(rescue), ...stepsOf(capabilities, 'beforeStart'), boot, personalize, ...afterSteps(options, capabilities)];
}

/** From a guest that has its identity to a VM to work with. */
export function afterSteps({ waitForServices, rescue = false }: StartOptions, capabilities = ALL_CAPABILITIES): Step<VmContext>[] {
  const after = rescue
    ? capabilities.filter(isForRescue)
    : capabilities.filter(({ traits }) => waitForServices || traits?.waitsForGuest !== true);
  return stepsOf(after, 'afterStart');
}

/** One boot that hangs is no fault of the VM; one that hangs every time is not by chance. */
const MOST_BOOTS = 4;

/** From here on a crash leaves traces, so record what exists, and in which boot of the host. */
export const claim = (rescue: boolean): Step<VmContext> => ({
  name: 'claim',
  title: 'runtime directory',
  async apply(context) {
    const { vm, services, paths, move, operation } = context;
    const { hypervisor, network, note } = await services.vms.drivers.choose(vm.runtime);
    if (note !== undefined) operation.log(note);
    if (rescue) rescueRootPath.set(context, await rescueRoot(context));
    const { storageDriver } = vm.runtime ?? {};
    move(vm.state === 'creating' ? 'creating' : 'starting', {
      lastError: null,
      runtime: {
        bootId: services.world.processes.bootId(),
        hypervisor: hypervisor.name,
        networkDriver: network.name,
        ...given({ storageDriver }),
        ...(rescue ? { rescue } : {}),
      },
    });
    await services.world.files.makePrivateDirectory(paths.runtimeDirectory);
  },
  async undo(context) {
    const { vm, services, paths, move } = context;
    assertEnded(context);
    await services.world.files.removeTree(paths.runtimeDirectory);
    const state = (await hasSnapshot(context)) ? 'suspended' : 'stopped';
    const sleep = state === 'suspended' ? vm.sleep : null;
    move(vm.state === 'creating' ? 'creating' : state, { startedAt: null, runtime: runtimeAtRest(context), sleep });
  },
});

const boot: Step<VmContext> = {
  name: 'boot',
  title: 'boot',
  apply: (context, signal) => powerOn(context, signal, 'boot'),
  undo: (context) => endVmm(context),
};

/** @param stage that reports what the start waits for */
async function powerOn(context: VmContext, signal: AbortSignal, stage: string): Promise<void> {
  const { operation } = context;
  machineUp(context, await context.drivers.hypervisor.start(machineSpec(context), signal, (what) => operation.progress(stage, what)));
}

/** Holds a machine whose VMM has just been started, and writes it down. */
export function machineUp(context: VmContext, machine: Machine): void {
  const { services, vm, update } = context;
  const live = services.vms.machines.add(vm.id, machine, services.vms.connectAgent(machine));
  accompany(context, live, 'whilePowered');
  update({
    runtime: { bootId: services.world.processes.bootId(), ...vm.runtime, process: machine.process, accelerator: machine.accelerator },
  });
}

const personalize: Step<VmContext> = {
  name: 'agent',
  title: 'agent',
  async apply(context, signal) {
    const { services, vm, operation } = context;
    const draft = await guestDraft(context);
    for (let boots = 1; ; boots++) {
      const reason = await introduce(context, draft, signal, boots === MOST_BOOTS);
      if (reason === undefined) break;
      services.world.warn('a boot hung and is started again', { vm: vm.name, reason });
      operation.log(`the boot hung (${reason}); it is started again`);
      operation.progress('agent', `the boot hung; trying again (${boots + 1} of ${MOST_BOOTS})`);
      await endVmm(context);
      await powerOn(context, signal, 'agent');
    }
    // From here on a user may work in the guest, so the next daemon must not end it as a failed start.
    context.update({ startedAt: services.world.clock.now().toISOString() });
    accompany(context, services.vms.machines.get(vm), 'whileUp');
  },
};

async function prepareGuest(context: VmContext, agent: AgentClient, options: CallOptions): Promise<void> {
  const isRescue = context.vm.runtime?.rescue === true;
  for (const capability of ALL_CAPABILITIES) {
    if (!isRescue || isForRescue(capability)) await capability.beforeInit?.(context, agent, options);
  }
}

/**
 * Sends the guest its identity, as soon as it answers.
 * @param isLast whether no other boot follows this one
 * @returns undefined once the guest has it, or why it never will
 */
async function introduce(context: VmContext, draft: GuestDraft, signal: AbortSignal, isLast: boolean): Promise<string | undefined> {
  const { services, vm } = context;
  const { agent, machine } = services.vms.machines.get(vm);
  const timeoutMs = services.settings.bootTimeoutMs;
  const overdue = AbortSignal.timeout(timeoutMs);
  const limits = { signal: AbortSignal.any([signal, overdue]), timeoutMs };
  const died = machine.exited.then((exit) => {
    throw new BangerError('BOOT_FAILED', `the VM ended during its boot: ${exit.detail}`);
  });
  const hung = machine.hung?.then((reason) => {
    if (isLast) throw new BangerError('BOOT_FAILED', `the boot hung ${MOST_BOOTS} times: ${reason}`);
    return reason;
  });
  const told = prepareGuest(context, agent, limits).then(async () => {
    const { troubles, hasSshServer } = await agent.personalize(draft, limits);
    tellTroubles(context, troubles);
    if (hasSshServer !== undefined)
      context.update({ runtime: { bootId: services.world.processes.bootId(), ...context.vm.runtime, hasSshServer } });
  });
  // The others may fail after nobody waits for them.
  for (const one of [died, hung, told]) one?.catch(() => undefined);
  try {
    return (await Promise.race([told, died, ...(hung === undefined ? [] : [hung])])) ?? undefined;
  } catch (error) {
    throw signal.aborted ? error : await explainBootFailure(context, error, overdue.aborted);
  }
}

/** The last step of every start: users may work in the guest. */
export const announce: Step<VmContext> = {
  name: 'ready',
  title: 'ready',
  apply({ services, move }) {
    move('running', { startedAt: services.world.clock.now().toISOString(), lastUsedAt: services.world.clock.now().toISOString() });
  },
};

/** @returns the whole identity of the guest, for the guest agent */
export async function guestDraft(context: VmContext, capabilities = ALL_CAPABILITIES): Promise<GuestDraft> {
  const draft: GuestDraft = {
    hostname: '',
    hosts: [],
    network: null,
    authorizedKeys: [],
    sshHostKey: null,
    machineId: '',
    randomSeed: '',
    unixMs: 'now',
    mounts: [],
    growRoot: false,
  };
  const isRescue = context.vm.runtime?.rescue === true;
  for (const capability of capabilities) {
    if (!isRescue || isForRescue(capability)) await capability.guestConfig?.(context, draft);
  }
  return draft;
}
