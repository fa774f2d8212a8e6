import { freeNetworkIndex } from './network-index.ts';
import { shortId, type Vm } from '../model/vm.ts';
import type { VmManifest } from '../store/vm-manifests.ts';
import type { LifecycleServices } from '../context/services.ts';
import { findMachines } from './unknown-vmms.ts';

/**
 * Gives a record to every VM that has a directory with a manifest and none: the database was lost, or an older copy of it was
 * put in its place. What was running is adopted afterwards like any other VM.
 * @returns the names they have now
 */
export async function restoreLost(services: LifecycleServices): Promise<string[]> {
  const restored: string[] = [];
  for (const id of await directoriesWithoutRecord(services)) {
    const manifest = services.vms.manifests.read(id);
    if (manifest === undefined) continue;
    try {
      restored.push(await restore(services, manifest));
    } catch (error) {
      services.world.warn('a VM could not be restored from its manifest', { vm: manifest.vm.name, reason: textOf(error) });
    }
  }
  return restored;
}

/**
 * Gives every VM that runs the record of its run when the database does not know of it: an older copy of it was put in its place. By what
 * that says a second VMM would be put on its disks, or the one that runs would be ended.
 * @returns the names they have now
 */
export async function restoreOutdated(services: LifecycleServices): Promise<string[]> {
  const restored: string[] = [];
  const running = new Set(await services.world.files.namesIn(services.vms.pathsOf({ id: '' }).runtimeDirectory));
  for (const vm of services.vms.records.list().filter((one) => running.has(shortId(one)))) {
    try {
      const manifest = await presentRun(services, vm);
      if (manifest === undefined) continue;
      services.vms.records.remove(vm.id);
      restored.push(await restore(services, manifest));
    } catch (error) {
      services.world.warn('a VM whose record may be old could not be looked at', { vm: vm.name, reason: textOf(error) });
    }
  }
  return restored;
}

/** @returns what a record that does not know of the present run should say; undefined when it knows, or there is none */
async function presentRun(services: LifecycleServices, vm: Vm): Promise<VmManifest | undefined> {
  const { processes, clock } = services.world;
  const bootId = processes.bootId();
  const isAlive = ({ runtime }: Vm): boolean =>
    runtime?.process !== undefined && runtime.bootId === bootId && processes.isAlive(runtime.process);
  // What is to be deleted is somebody's decision, and no copy outlives it.
  if (vm.state === 'deleting' || (vm.state === 'running' && isAlive(vm))) return undefined;
  const manifest = services.vms.manifests.read(vm.id);
  if (manifest?.vm.state === 'running' && isAlive(manifest.vm)) return manifest;
  // A record of this boot says itself what may be left of it.
  if (vm.state !== 'stopped' && vm.runtime?.bootId === bootId) return undefined;
  const [found] = await findMachines(services, vm.id);
  if (found === undefined) return undefined;
  const { hypervisor, process } = found;
  const runtime = { ...manifest?.vm.runtime, ...vm.runtime, bootId, hypervisor, process };
  return { vm: { ...vm, state: 'running', startedAt: clock.now().toISOString(), runtime }, image: null };
}

/** @returns ids of VMs that have a directory and no record */
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
    // Until it is restarted nothing of the host reaches it there; what is in its memory is its user's.
    if (record.state === 'running') services.world.warn("a VM runs with an address that is another one's: restart it", { vm: record.name });
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
 * A VM whose creation had not ended would be undone by the recovery. The database alone could tell that for certain, so one that
 * has all it needs is kept, for the user to judge.
 */
async function settledState({ world: { files }, vms: { pathsOf } }: LifecycleServices, vm: Vm): Promise<Partial<Vm>> {
  if (vm.state !== 'creating') return {};
  const { rootOverlay, workDisk } = pathsOf(vm);
  if (!(await files.exists(rootOverlay)) || !(await files.exists(workDisk))) return {};
  return { state: 'error', lastError: 'the database was lost while it was created; start it to try it, or delete it' };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
