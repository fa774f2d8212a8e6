import { freeNetworkIndex } from './network-index.ts';
import { isHidden } from '../model/hidden.ts';
import { isAtRest, isPowered } from '../model/vm-state.ts';
import { shortId, type Vm } from '../model/vm.ts';
import type { VmManifest } from '../store/vm-manifests.ts';
import type { LifecycleServices } from '../context/services.ts';
import { findMachines } from './unknown-vmms.ts';
import { messageOf } from '../lib/message-of.ts';

/**
 * Restores the record of every VM that has a directory with a manifest and no record: the database was lost, or replaced by an older copy.
 * Running VMs are adopted afterwards like any other VM.
 * @returns their present names
 */
export async function restoreLost(services: LifecycleServices): Promise<string[]> {
  const restored: string[] = [];
  for (const id of await directoriesWithoutRecord(services)) {
    const manifest = services.vms.manifests.read(id);
    if (manifest === undefined) continue;
    try {
      restored.push(await restore(services, manifest));
    } catch (error) {
      services.world.warn('a VM could not be restored from its manifest', { vm: manifest.vm.name, reason: messageOf(error) });
    }
  }
  return restored;
}

/**
 * Restores the record of every running VM whose run the database does not know: the database was replaced by an older copy. Following that
 * record, banger would start a second VMM on the VM's disks, or end the running one.
 * @returns their present names
 */
export async function restoreOutdated(services: LifecycleServices): Promise<string[]> {
  const restored: string[] = [];
  const running = new Set(await services.world.files.namesIn(services.vms.pathsOf({ id: '' }).runtimeDirectory));
  for (const vm of services.vms.records.listAll().filter((one) => running.has(shortId(one)))) {
    try {
      const manifest = await presentRun(services, vm);
      if (manifest === undefined) continue;
      services.vms.records.remove(vm.id);
      restored.push(await restore(services, manifest));
    } catch (error) {
      services.world.warn('a VM whose record may be old could not be checked', { vm: vm.name, reason: messageOf(error) });
    }
  }
  return restored;
}

/** @returns the right record if the present one does not know of the running VMM; undefined if it does, or none runs */
async function presentRun(services: LifecycleServices, vm: Vm): Promise<VmManifest | undefined> {
  const { processes, clock } = services.world;
  const bootId = processes.bootId();
  const isAlive = ({ runtime }: Vm): boolean =>
    runtime?.process !== undefined && runtime.bootId === bootId && processes.isAlive(runtime.process);
  // A user has decided on the deletion, and no older copy overrides that.
  if (vm.state === 'deleting' || (isPowered(vm.state) && isAlive(vm))) return undefined;
  const manifest = services.vms.manifests.read(vm.id);
  if (manifest !== undefined && isPowered(manifest.vm.state) && isAlive(manifest.vm)) return manifest;
  // A record of this boot itself says what may be left of it.
  if (!isAtRest(vm.state) && vm.runtime?.bootId === bootId) return undefined;
  const [found] = await findMachines(services, vm.id);
  if (found === undefined) return undefined;
  const { hypervisor, process } = found;
  const runtime = { ...manifest?.vm.runtime, ...vm.runtime, bootId, hypervisor, process };
  // Spares do not outlive their daemon: it has become a user's, and only its name is lost.
  const name = isHidden(vm) ? `vm-${shortId(vm)}` : vm.name;
  return { vm: { ...vm, name, state: 'running', startedAt: clock.now().toISOString(), runtime }, image: null };
}

/** @returns ids of VMs with a directory and without a record */
export async function directoriesWithoutRecord({ world: { files }, vms: { records: vms, pathsOf } }: LifecycleServices): Promise<string[]> {
  const names = await files.namesIn(pathsOf({ id: '' }).directory);
  return names.filter((name) => ID.test(name) && vms.find(name) === undefined);
}

const ID = /^[0-9a-f]{32}$/;

async function restore(services: LifecycleServices, { vm, image }: VmManifest): Promise<string> {
  const isTaken = {
    name: services.vms.records.findByName(vm.name) !== undefined,
    index: services.vms.records.networkIndexes().has(vm.networkIndex),
  };
  const record: Vm = { ...vm, ...(await settledState(services, vm)) };
  if (isTaken.name) record.name = `${vm.name.slice(0, 54)}-${shortId(vm)}`;
  if (isTaken.index) {
    record.networkIndex = freeNetworkIndex(services);
    // Until its restart, the host cannot reach it there. It runs on, because its memory belongs to its user.
    if (isPowered(record.state)) services.world.warn('a VM runs with the address of another VM: restart it', { vm: record.name });
  }
  if (image !== null && services.images.records.find(image.id) === undefined) {
    const isNameFree = services.images.records.list().every(({ name }) => name !== image.name);
    services.images.records.save(isNameFree ? image : { ...image, name: `${image.name}-${image.id.slice(0, 8)}` });
  }
  services.vms.records.insert(record);
  services.world.warn('a VM was restored from its manifest', { vm: record.name, state: record.state });
  return record.name;
}

/**
 * Recovery would undo a VM whose creation had not ended. Only the database could tell for certain, so a VM with all its files is kept, and
 * the user decides.
 */
async function settledState({ world: { files }, vms: { pathsOf } }: LifecycleServices, vm: Vm): Promise<Partial<Vm>> {
  if (vm.state !== 'creating' || isHidden(vm)) return {};
  const { rootOverlay, workDisk } = pathsOf(vm);
  if (!(await files.exists(rootOverlay)) || !(await files.exists(workDisk))) return {};
  return { state: 'error', lastError: 'the database was lost during its creation; try to start it, or delete it' };
}
