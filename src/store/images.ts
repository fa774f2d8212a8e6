import type { DatabaseSync } from 'node:sqlite';
import type { Image } from '../model/image.ts';

/** What VMs boot from. */
export type ImageStore = ReturnType<typeof createImageStore>;

/** @param database opened by openDatabase */
export function createImageStore(database: DatabaseSync) {
  const selectAll = database.prepare('SELECT image FROM images ORDER BY name');
  const selectOne = database.prepare('SELECT image FROM images WHERE id = ? OR name = ?');
  const upsert = database.prepare(
    'INSERT INTO images (id, name, image) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, image = excluded.image',
  );
  const remove = database.prepare('DELETE FROM images WHERE id = ?');
  const toImage = (row: Record<string, unknown>): Image => JSON.parse(String(row['image'])) as Image;
  return {
    list: (): Image[] => selectAll.all().map(toImage),
    find(reference: string): Image | undefined {
      const row = selectOne.get(reference, reference);
      return row === undefined ? undefined : toImage(row);
    },
    save(image: Image): void {
      upsert.run(image.id, image.name, JSON.stringify(image));
    },
    remove(id: string): void {
      remove.run(id);
    },
  };
}
