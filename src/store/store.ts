import { openDatabase } from './database.ts';
import { createImageStore } from './images.ts';
import { createOperationStore } from './operations.ts';
import { createVmManifests, type ManifestPlaces } from './vm-manifests.ts';
import { createVmStore } from './vms.ts';

/** All data that must survive the daemon. */
export type Store = ReturnType<typeof openStore>;

/**
 * @param path of the SQLite file, or ':memory:'
 * @param places where to write each VM's manifest, beside its disks; nowhere by default
 * @throws the errors of openDatabase
 */
export function openStore(path: string, places?: ManifestPlaces) {
  const database = openDatabase(path);
  const images = createImageStore(database);
  const manifests = createVmManifests(images, places);
  return {
    vms: createVmStore(database, (vm, before) => manifests.changed(vm, before)),
    operations: createOperationStore(database),
    images,
    manifests,
    close: (): void => database.close(),
  };
}
