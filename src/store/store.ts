import { openDatabase } from './database.ts';
import { createImageStore } from './images.ts';
import { createOperationStore } from './operations.ts';
import { createVmStore } from './vms.ts';

/** Everything that must survive the daemon. */
export type Store = ReturnType<typeof openStore>;

/** @param path of the SQLite file, or ':memory:'. @throws what openDatabase throws */
export function openStore(path: string) {
  const database = openDatabase(path);
  return {
    vms: createVmStore(database),
    operations: createOperationStore(database),
    images: createImageStore(database),
    close: (): void => database.close(),
  };
}
