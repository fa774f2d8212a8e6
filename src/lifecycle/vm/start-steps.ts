import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Capability } from '../../capabilities/capability.ts';
import type { MachineSpec } from '../../drivers/hypervisor/contract.ts';
import { BangerError } from '../../model/errors.ts';
import type { Step } from '../pipeline.ts';
import type { GuestDraft, MachineDraft, VmContext } from '../vm-context.ts';
import { explainBootFailure } from './boot-failure.ts';
import { watchExit } from './exit-watch.ts';

/** Everything from a stopped VM to a running one; undone in reverse when any of it fails. */
export function startSteps(options: { waitForServices: boolean }, capabilities = ALL_CAPABILITIES): Step<VmContext>[] {
  const after = capabilities.filter((c) => options.waitForServices || c.name !== 'services');
  return [claim, ...present(capabilities, 'beforeStart'), boot, personalize, ...present(after, 'afterStart'), announce];
}

/** @returns the steps of one kind, in the order of the capabilities. */
export function present(capabilities: readonly Capability[], kind: 'prepare' | 'beforeStart' | 'afterStart'): Step<VmContext>[] {
  return capabilities.flatMap((capability) => capability[kind] ?? []);
}

/** From here on a crash leaves traces, so it is written down what they are and in which boot of the host. */
const claim: Step<VmContext> = {
  name: 'claim',
  title: 'prepare',
  async apply({ vm, services, paths, update }) {
    await services.host.makePrivateDirectory(paths.runtimeDirectory);
    const { storageDriver } = vm.runtime ?? {};
    update({
      state: vm.state === 'creating' ? 'creating' : 'starting',
      lastError: null,
      runtime: {
        bootId: services.host.bootId(),
        hypervisor: services.hypervisor.name,
        networkDriver: services.network.name,
        ...(storageDriver === undefined ? {} : { storageDriver }),
      },
    });
  },
  async undo({ vm, services, paths, update }) {
    await services.host.removeTree(paths.runtimeDirectory);
    if (vm.state !== 'creating') update({ state: 'stopped' });
  },
};

const boot: Step<VmContext> = {
  name: 'boot',
  title: 'boot',
  async apply(context, signal) {
    const { services, vm, update } = context;
    const machine = await services.hypervisor.start(machineSpec(context), signal);
    services.machines.add(vm.id, machine, services.connectAgent(machine));
    update({ runtime: { bootId: services.host.bootId(), ...vm.runtime, process: machine.process, accelerator: machine.accelerator } });
    watchExit(services, vm.id, machine);
  },
  undo: (context) => endVmm(context),
};

/**
 * Ends the VMM whatever is known of it, and removes what it left. Also used by stop, kill, delete and recovery.
 * A process that was never recorded is found by its control socket.
 */
export async function endVmm(context: VmContext): Promise<void> {
  const { services, vm } = context;
  const live = services.machines.find(vm.id);
  const spec = adoptionSpec(context);
  if (live === undefined) {
    const unrecorded = await services.hypervisor.find(spec);
    const recorded = vm.runtime?.bootId === services.host.bootId() ? vm.runtime.process : undefined;
    for (const process of [unrecorded, recorded]) if (process !== undefined) await services.host.endProcess(process, 0);
  } else {
    await live.machine.terminate();
    services.machines.remove(vm.id);
  }
  await services.hypervisor.cleanUp(spec);
}

const personalize: Step<VmContext> = {
  name: 'agent',
  title: 'agent',
  async apply(context, signal) {
    const { services, vm } = context;
    const { agent, machine } = services.machines.get(vm);
    const draft = await guestDraft(context);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(services.settings.bootTimeoutMs)]);
    const died = machine.exited.then((exit) => {
      throw new BangerError('BOOT_FAILED', `the VM ended while it booted: ${exit.detail}`);
    });
    try {
      await Promise.race([agent.personalize(draft, limit), died]);
    } catch (error) {
      throw signal.aborted ? error : await explainBootFailure(context, error, limit.aborted);
    }
  },
};

const announce: Step<VmContext> = {
  name: 'ready',
  title: 'ready',
  apply({ services, update }) {
    update({ state: 'running', startedAt: services.now().toISOString(), lastUsedAt: services.now().toISOString() });
  },
};

/** The command line says what the initramfs needs and nothing else; the rest comes through the agent. */
const KERNEL_ARGUMENTS = ['banger.root=/dev/vda', 'banger.wait=1'];

function machineSpec(context: VmContext, capabilities = ALL_CAPABILITIES): MachineSpec {
  const draft: MachineDraft = { disks: [], network: { kind: 'none' }, commandPrefix: [] };
  for (const capability of capabilities) capability.machine?.(context, draft);
  return { ...adoptionSpec(context), ...draft };
}

/** As much of the spec as adopting, finding and cleaning up need: names, paths, sizes. */
export function adoptionSpec({ vm, image, paths }: VmContext): MachineSpec {
  return {
    vmId: vm.id,
    vmName: vm.name,
    vcpuCount: vm.spec.vcpuCount,
    memoryMib: vm.spec.memoryMib,
    kernelPath: image.kernelPath,
    initramfsPath: image.initramfsPath,
    kernelArguments: KERNEL_ARGUMENTS,
    disks: [],
    network: { kind: 'none' },
    runtimeDirectory: paths.runtimeDirectory,
    serialLogPath: paths.serialLog,
    vmmLogPath: paths.vmmLog,
    commandPrefix: [],
  };
}

async function guestDraft(context: VmContext, capabilities = ALL_CAPABILITIES): Promise<GuestDraft> {
  const draft: GuestDraft = {
    hostname: '',
    hosts: [],
    network: null,
    authorizedKeys: [],
    sshHostKey: null,
    machineId: '',
    randomSeed: '',
    unixMs: 0,
    mounts: [],
    growRoot: false,
  };
  for (const capability of capabilities) await capability.guestConfig?.(context, draft);
  return draft;
}
