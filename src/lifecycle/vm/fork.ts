import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runSteps } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import { checkName } from '../../model/name.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { decideAction } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import { again } from '../adopt.ts';
import { preflight } from '../health/preflight.ts';
import { forget, insertNew, newRecord } from './record.ts';
import { forkSteps } from './fork-steps.ts';

/**
 * Makes VMs that are what a running one is at one moment: its memory, its disks, its settings and labels, with identities of their own. It
 * runs on, whatever happens to them.
 * @param names of the new VMs
 * @throws before anything exists: INVALID_INPUT, NAME_TAKEN, WRONG_STATE, UNSUPPORTED, NO_SPACE, PREREQUISITE_MISSING
 */
export async function forkVm(services: LifecycleServices, vm: Vm, names: readonly string[]): Promise<OperationRecord> {
  refuseNames(services, names);
  await requireForkable(services, vm, names.length);
  return services.operations.begin('vm.fork', vm, (operation) =>
    services.vms.locks.hold(vm.id, operation.signal, async () => {
      const present = await again(services, vm.id);
      if (present === undefined) throw new BangerError('NOT_FOUND', `VM ${vm.name} was deleted`);
      await requireForkable(services, present, names.length);
      await make(services, present, names, operation);
    }),
  );
}

async function make(services: LifecycleServices, vm: Vm, names: readonly string[], operation: OperationHandle): Promise<void> {
  refuseNames(services, names);
  const { journal, signal } = operation;
  const { imageId, imageName, spec, labels } = vm;
  const made: Vm[] = [];
  try {
    for (const name of names) {
      const copy = newRecord(services, { name: () => name, image: { id: imageId, name: imageName }, spec, labels });
      insertNew(services, copy);
      made.push(copy);
    }
    const [source, copies] = [makeContext(services, vm, operation), made.map((copy) => makeContext(services, copy, operation))];
    await heldTogether(services, made, signal, () => runSteps({ steps: forkSteps(), context: { source, copies }, journal, signal }));
  } catch (error) {
    for (const copy of made) forget(services, copy, error);
    if (signal.aborted) for (const copy of made) await services.world.files.removeTree(services.vms.pathsOf(copy).logDirectory);
    throw error;
  }
}

/** Whoever wants to delete one of the new VMs waits until it is whole. */
function heldTogether(
  services: LifecycleServices,
  [first, ...others]: Vm[],
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  if (first === undefined) return work();
  return services.vms.locks.hold(first.id, signal, () => heldTogether(services, others, signal, work));
}

function refuseNames(services: LifecycleServices, names: readonly string[]): void {
  for (const [at, name] of names.entries()) {
    checkName(name);
    if (services.vms.records.findByName(name) === undefined && names.indexOf(name) === at) continue;
    throw new BangerError('NAME_TAKEN', `there is a VM named ${name} already, or it is named twice`, {
      remedy: 'choose another name',
      details: { name },
    });
  }
}

async function requireForkable(services: LifecycleServices, vm: Vm, count: number): Promise<void> {
  decideAction(vm, 'fork');
  const context = makeContext(services, vm);
  requireAbility(context);
  for (const capability of ALL_CAPABILITIES) await capability.checkNew?.(services, vm.spec);
  await preflight(services, 'vm create', { image: context.image });
  await requireRoom(context, count);
}

/** @throws WRONG_STATE, UNSUPPORTED */
function requireAbility({ services, vm, drivers }: VmContext): void {
  const { machine } = services.vms.machines.get(vm);
  const { name } = vm;
  if (vm.runtime?.rescue === true) {
    throw new BangerError('WRONG_STATE', `VM ${name} runs a rescue system, which cannot be forked`, {
      remedy: `banger vm restart ${name}`,
      details: { vm: name, rescue: true },
    });
  }
  const { hypervisor, storage } = drivers;
  const lacking = machine.fork === undefined ? hypervisor.name : storage.root.createBlank === undefined ? storage.name : undefined;
  if (lacking === undefined) return;
  throw new BangerError('UNSUPPORTED', `VM ${name} cannot be forked: the driver ${lacking} cannot copy a machine that runs`, {
    remedy: 'choose drivers that can in config.toml (docs/forking.md), and create the VM anew',
    details: { vm: name, driver: lacking },
  });
}

/** @throws NO_SPACE when there is no room for what the VM has written to its disks, so many times */
async function requireRoom({ services, vm, paths, drivers }: VmContext, count: number): Promise<void> {
  const { root, work } = drivers.storage;
  const disks = [root.allocatedBytes({ vmId: vm.id, path: paths.rootOverlay }), work.allocatedBytes({ vmId: vm.id, path: paths.workDisk })];
  const writtenBytes = (await Promise.all(disks)).reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  const neededBytes = writtenBytes * count + services.settings.reservedBytes;
  const freeBytes = await services.world.files.freeBytes(paths.directory);
  if (freeBytes >= neededBytes) return;
  const sizes = `${formatSize(freeBytes)} are free, and ${formatSize(neededBytes)} are needed with the reserve`;
  throw new BangerError('NO_SPACE', `there is no room for copies of the disks of ${vm.name} in ${paths.directory}: ${sizes}`, {
    remedy: 'delete VMs, or put BANGER_STATE_DIR on a larger disk',
    details: { freeBytes, neededBytes },
  });
}
