import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { MachineSpec } from '../../drivers/hypervisor/contract.ts';
import { BangerError } from '../../model/errors.ts';
import type { MachineDraft, VmContext } from '../vm-context.ts';

/** The command line says what the initramfs needs and nothing else; the rest comes through the agent. */
const KERNEL_ARGUMENTS = ['banger.root=/dev/vda', 'banger.wait=1'];
/** The agent's own pid 1 stays for an image that brings none. */
const WITHOUT_INIT = 'banger.init=none';

/** @returns the whole machine; every capability has had its say */
export function machineSpec(context: VmContext, capabilities = ALL_CAPABILITIES): MachineSpec {
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
    kernelArguments: image.initSystem === 'none' ? [...KERNEL_ARGUMENTS, WITHOUT_INIT] : KERNEL_ARGUMENTS,
    disks: [],
    network: { kind: 'none' },
    runtimeDirectory: paths.runtimeDirectory,
    serialLogPath: paths.serialLog,
    vmmLogPath: paths.vmmLog,
    commandPrefix: [],
  };
}

/**
 * Ends the VMM whatever is known of it, and removes what it left. Also used by stop, kill, delete and recovery.
 * A process that was never recorded is found by its control socket.
 */
export async function endVmm(context: VmContext): Promise<void> {
  const { services, vm } = context;
  const { hypervisor } = context.drivers;
  const live = services.machines.find(vm.id);
  const spec = adoptionSpec(context);
  if (live === undefined) {
    const unrecorded = await hypervisor.find(spec);
    const recorded = vm.runtime?.bootId === services.host.bootId() ? vm.runtime.process : undefined;
    for (const process of [unrecorded, recorded]) if (process !== undefined) await services.host.endProcess(process, 0);
  } else {
    await live.machine.terminate();
    services.machines.remove(vm.id);
  }
  await hypervisor.cleanUp(spec);
}

/**
 * Stands before every "it is stopped" and "it is gone": a VM whose VMM still lives must keep its record, or nobody could
 * end it and a start would put a second VMM on its disks.
 * @throws VMM_FAILED
 */
export function assertEnded({ services, vm }: VmContext): void {
  const recorded = vm.runtime?.bootId === services.host.bootId() ? vm.runtime.process : undefined;
  const process = services.machines.find(vm.id)?.machine.process ?? recorded;
  if (process === undefined || !services.host.isAlive(process)) return;
  throw new BangerError('VMM_FAILED', `the VMM of ${vm.name} (process ${process.pid}) did not end`, {
    remedy: `banger vm kill ${vm.name}`,
    details: { pid: process.pid },
  });
}
