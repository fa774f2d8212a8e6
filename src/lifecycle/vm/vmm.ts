import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { MachineSpec } from '../../drivers/hypervisor/contract.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import type { ProcessIdentity, Vm, VmRuntime } from '../../model/vm.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { rescueRootPath } from './rescue.ts';
import { memoryPathOf } from './snapshot.ts';
import { stepResult } from '../../context/step-result.ts';
import type { MachineDraft, VmContext } from '../../context/vm-context.ts';
import { given } from '../../lib/given.ts';

/** The command line only has what the initramfs needs; the guest agent gets the rest. */
const KERNEL_ARGUMENTS = ['banger.root=/dev/vda', 'banger.wait=1'];
/** The guest agent stays PID 1 for an image without an init. */
const WITHOUT_INIT = 'banger.init=none';
/** The root belongs to the image and is not changed. */
const RESCUE = 'banger.rescue=1';

function kernelArguments(vm: Vm, image: Image): string[] {
  if (vm.runtime?.rescue === true) return [...KERNEL_ARGUMENTS, WITHOUT_INIT, RESCUE];
  return image.initSystem === 'none' ? [...KERNEL_ARGUMENTS, WITHOUT_INIT] : KERNEL_ARGUMENTS;
}

/** Whether nobody waits for the machine, so that it leaves the processors to others. */
export const isPatient = stepResult<boolean>('the patience of a machine');

/** With much less, units of a guest on a busy host would not start within their time limits. */
const PATIENT = ['nice', '-n', '5'];

/** @returns the whole machine, with the parts of every capability */
export function machineSpec(context: VmContext, capabilities = ALL_CAPABILITIES): MachineSpec {
  const rescue = rescueRootPath.find(context);
  // First, and so /dev/vda; the VM's own disks are /dev/vdb and /dev/vdc.
  const disks = rescue === undefined ? [] : [{ path: rescue, format: 'raw', readOnly: true, durable: true } as const];
  const draft: MachineDraft = { disks, network: { kind: 'none' }, commandPrefix: [] };
  for (const capability of capabilities) capability.machine?.(context, draft);
  const memoryPath = memoryPathOf.find(context);
  if (isPatient.find(context) === true) draft.commandPrefix = [...PATIENT, ...draft.commandPrefix];
  return { ...adoptionSpec(context), ...draft, ...given({ memoryPath }) };
}

/** The part of the spec that adopting, finding and cleaning up need: names, paths, sizes, and whether the network is the VMM's own. */
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
 * Looks for the VMM of a VM that this daemon does not hold. An unrecorded process is found by its control socket.
 * @returns undefined if there is certainly none
 * @throws if the driver cannot be asked, and the record does not tell either
 */
export async function findVmm(context: VmContext): Promise<ProcessIdentity | undefined> {
  const { vm, recorded, services } = context;
  // After a reboot of the host, the recorded pid belongs to another process, and no driver finds anything.
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

/** Ends the VMM, whatever is known of it, and removes what it left. Only for verbs of a user, and for VMs that no user has used yet. */
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

/** A driver that is no longer available has nothing to clean, once the process has ended. */
async function tolerateAbsence(context: VmContext, error: unknown): Promise<void> {
  const isAbsent = error instanceof BangerError && error.code === 'PREREQUISITE_MISSING';
  if (!isAbsent || (await findVmm(context)) !== undefined) throw error;
}

/**
 * Runs before a VM is called stopped or deleted. A VM whose VMM lives must keep its record, or nothing could end the VMM, and a start would
 * put a second VMM on its disks.
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

/** @returns the held or recorded process of the VM's VMM in this boot of the host; it may have ended */
export function knownProcess(services: LifecycleServices, vm: Vm): ProcessIdentity | undefined {
  const recorded = vm.runtime?.bootId === services.world.processes.bootId() ? vm.runtime.process : undefined;
  return services.vms.machines.find(vm.id)?.machine.process ?? recorded;
}

/** @returns what stays recorded after a run: the driver of the disk, and the drivers that could not release something */
export function runtimeAtRest({ vm, services, unreleased }: VmContext): VmRuntime | null {
  const { storageDriver, hypervisor, networkDriver } = vm.runtime ?? {};
  const kept = {
    ...given({ storageDriver }),
    ...(hypervisor === undefined || !unreleased.has('hypervisor') ? {} : { hypervisor }),
    ...(networkDriver === undefined || !unreleased.has('network') ? {} : { networkDriver }),
  };
  return Object.keys(kept).length === 0 ? null : { bootId: services.world.processes.bootId(), ...kept };
}
