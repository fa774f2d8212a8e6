import { STAGING_ENDING } from '../../model/paths.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { IMAGE_MANIFEST, parseImageManifest } from './manifest.ts';

/** How many logs of builds without an image are kept; they tell why those builds failed. */
const KEPT_LOGS = 20;

/**
 * Runs before any new work: removes what the last daemon left half made or half removed, and restores images whose records are lost from
 * the manifests beside their files.
 * @returns names of restored images
 */
export async function recoverImages(services: LifecycleServices): Promise<string[]> {
  const {
    world: { files },
    images: { records: images },
  } = services;
  const { root } = services.images.pathsOf({ id: '' });
  const restored: string[] = [];
  for (const entry of await files.namesByAge(root)) {
    const directory = `${root}/${entry}`;
    if (entry.endsWith(STAGING_ENDING)) await files.removeTree(directory);
    else if (images.find(entry)?.managed !== true) {
      const text = await files.readIfThere(`${directory}/${IMAGE_MANIFEST}`);
      const image = text === undefined ? undefined : parseImageManifest(text, directory);
      if (image === undefined || image.id !== entry) {
        services.world.warn('a directory for an image contains no image', { directory });
        continue;
      }
      const isFree = (images.findByName(image.name)?.id ?? entry) === entry;
      const name = isFree ? image.name : `${image.name.slice(0, 54)}-${image.id.slice(0, 8)}`;
      images.save({ ...image, name });
      restored.push(name);
    }
  }
  await pruneLogs(services);
  return restored;
}

async function pruneLogs({ world: { files }, images: { records: images, pathsOf: imagePathsOf } }: LifecycleServices): Promise<void> {
  const { buildLog } = imagePathsOf({ id: '' });
  const directory = buildLog.slice(0, buildLog.lastIndexOf('/'));
  const ownerless = (await files.namesByAge(directory)).filter((file) => images.find(file.replace(/\.log$/, '')) === undefined);
  for (const file of ownerless.slice(KEPT_LOGS)) await files.removeTree(`${directory}/${file}`);
}
