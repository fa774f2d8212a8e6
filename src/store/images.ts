import type { DatabaseSync } from 'node:sqlite';
import { completeImage, type Image } from '../model/image.ts';

/** What VMs boot from. */
export type ImageStore = ReturnType<typeof createImageStore>;

/** @param database opened by openDatabase */
export function createImageStore(database: DatabaseSync) {
  const selectAll = database.prepare('SELECT image FROM images ORDER BY name');
  const selectById = database.prepare('SELECT image FROM images WHERE id = ?');
  const selectByName = database.prepare('SELECT image FROM images WHERE name = ?');
  const upsert = database.prepare(
    'INSERT INTO images (id, name, image) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, image = excluded.image',
  );
  const remove = database.prepare('DELETE FROM images WHERE id = ?');
  const toImage = (row: Record<string, unknown>): Image => completeImage(JSON.parse(String(row['image'])) as Image);
  const first = (row: Record<string, unknown> | undefined): Image | undefined => (row === undefined ? undefined : toImage(row));
  return {
    list: (): Image[] => selectAll.all().map(toImage),
    find: (id: string): Image | undefined => first(selectById.get(id)),
    findByName: (name: string): Image | undefined => first(selectByName.get(name)),
    save(image: Image): void {
      upsert.run(image.id, image.name, JSON.stringify(image));
    },
    remove(id: string): void {
      remove.run(id);
    },
  };
}
