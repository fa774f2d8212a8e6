import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { MachineSpec } from '../../drivers/hypervisor/contract.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import type { ProcessIdentity, Vm, VmRuntime } from '../../model/vm.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { rescueRootPath } from './rescue.ts';
import type { MachineDraft, VmContext } from '../../context/vm-context.ts';
import { given } from '../../lib/given.ts';

/** The command line says what the initramfs needs and nothing else; the rest comes through the agent. */
const KERNEL_ARGUMENTS = ['banger.root=/dev/vda', 'banger.wait=1'];
/** The agent's own pid 1 stays for an image that brings none. */
const WITHOUT_INIT = 'banger.init=none';
/** The root is the image's and stays as it is. */
const RESCUE = 'banger.rescue=1';

function kernelArguments(vm: Vm, image: Image): string[] {
  if (vm.runtime?.rescue === true) return [...KERNEL_ARGUMENTS, WITHOUT_INIT, RESCUE];
  return image.initSystem === 'none' ? [...KERNEL_ARGUMENTS, WITHOUT_INIT] : KERNEL_ARGUMENTS;
}

/** @returns the whole machine; every capability has had its say */
export function machineSpec(context: VmContext, capabilities = ALL_CAPABILITIES): MachineSpec {
  const rescue = rescueRootPath.find(context);
  // First, and so /dev/vda; the VM's own are /dev/vdb and /dev/vdc.
  const disks = rescue === undefined ? [] : [{ path: rescue, format: 'raw', readOnly: true, durable: true } as const];
  const draft: MachineDraft = { disks, network: { kind: 'none' }, commandPrefix: [] };
  for (const capability of capabilities) capability.machine?.(context, draft);
  return { ...adoptionSpec(context), ...draft };
}

/** As much of the spec as adopting, finding and cleaning up need: names, paths, sizes, and a network that is the VMM's own. */
export function adoptionSpec({ vm, image, paths, recorded, network: { addresses, nat } }: VmContext): MachineSpec {
  const isVmmsOwn = recorded.network?.kind === 'user';
  return {
    vmId: vm.id,
    vmName: vm.name,
    vcpuCount: vm.spec.vcpuCount,
    memoryMib: vm.spec.memoryMib,
    kernelPath: image.kernelPath,
    initramfsPath: image.initramfsPath,
    kernelArguments: kernelArguments(vm, image),
    disks: [],
    network: isVmmsOwn ? { kind: 'user', macAddress: addresses.macAddress, restricted: !nat } : { kind: 'none' },
    runtimeDirectory: paths.runtimeDirectory,
    serialLogPath: paths.serialLog,
    vmmLogPath: paths.vmmLog,
    commandPrefix: [],
  };
}

/**
 * Looks for the VMM of a VM that this daemon does not hold. A process that was never recorded is found by its control socket.
 * @returns undefined when there is surely none
 * @throws when the driver cannot be asked, and nothing that is recorded tells
 */
export async function findVmm(context: VmContext): Promise<ProcessIdentity | undefined> {
  const { vm, recorded, services } = context;
  // After a reboot of the host every pid is somebody else's, and no driver knows of anything.
  if (vm.runtime?.bootId !== services.world.processes.bootId()) return undefined;
  const { process } = vm.runtime;
  const present = process !== undefined && services.world.processes.isAlive(process) ? process : undefined;
  try {
    return (await recorded.hypervisor?.find(adoptionSpec(context))) ?? present;
  } catch (error) {
    if (process === undefined) throw error;
    return present;
  }
}

/** Ends the VMM, whatever is known of it, and removes what it left. For what a person asked for, and for what no person had yet. */
export async function endVmm(context: VmContext): Promise<void> {
  const { services, vm, recorded } = context;
  const live = services.vms.machines.find(vm.id);
  if (live === undefined) {
    const process = await findVmm(context);
    if (process !== undefined) await services.world.processes.endProcess(process, 0);
  } else await live.machine.terminate();
  services.vms.machines.remove(vm.id);
  try {
    await recorded.hypervisor?.cleanUp(adoptionSpec(context));
  } catch (error) {
    context.unreleased.add('hypervisor');
    await tolerateAbsence(context, error);
  }
}

/** What can no longer be had on this host has nothing to clean, once the process is gone. */
async function tolerateAbsence(context: VmContext, error: unknown): Promise<void> {
  const isAbsent = error instanceof BangerError && error.code === 'PREREQUISITE_MISSING';
  if (!isAbsent || (await findVmm(context)) !== undefined) throw error;
}

/**
 * Stands before every "it is stopped" and "it is gone": a VM whose VMM still lives must keep its record, or nobody could
 * end it and a start would put a second VMM on its disks.
 * @throws VMM_FAILED
 */
export function assertEnded({ services, vm }: VmContext): void {
  const process = knownProcess(services, vm);
  if (process === undefined || !services.world.processes.isAlive(process)) return;
  throw new BangerError('VMM_FAILED', `the VMM of ${vm.name} (process ${process.pid}) did not end`, {
    remedy: `banger vm kill ${vm.name}`,
    details: { pid: process.pid },
  });
}

/** @returns the process that is held or recorded as the VM's VMM in this boot of the host; it need not be alive */
export function knownProcess(services: LifecycleServices, vm: Vm): ProcessIdentity | undefined {
  const recorded = vm.runtime?.bootId === services.world.processes.bootId() ? vm.runtime.process : undefined;
  return services.vms.machines.find(vm.id)?.machine.process ?? recorded;
}

/** @returns what stays recorded of a run that is over: who made the disk, and who could not be made to let go of something */
export function runtimeAtRest({ vm, services, unreleased }: VmContext): VmRuntime | null {
  const { storageDriver, hypervisor, networkDriver } = vm.runtime ?? {};
  const kept = {
    ...given({ storageDriver }),
    ...(hypervisor === undefined || !unreleased.has('hypervisor') ? {} : { hypervisor }),
    ...(networkDriver === undefined || !unreleased.has('network') ? {} : { networkDriver }),
  };
  return Object.keys(kept).length === 0 ? null : { bootId: services.world.processes.bootId(), ...kept };
}
