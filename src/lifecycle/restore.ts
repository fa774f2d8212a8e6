import { freeNetworkIndex } from './network-index.ts';
import { shortId, type Vm } from '../model/vm.ts';
import type { VmManifest } from '../store/vm-manifests.ts';
import type { LifecycleServices } from '../context/services.ts';

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
      const reason = error instanceof Error ? error.message : String(error);
      services.world.warn('a VM could not be restored from its manifest', { vm: manifest.vm.name, reason });
    }
  }
  return restored;
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
