import type { ImageView } from '../api/image-schemas.ts';
import type { Cli } from './cli.ts';
import { resolveTargets } from './targets.ts';

/** @returns the images that a command names, each resolved on its own: an unknown one does not affect the others */
export async function chooseImages(cli: Cli, references: readonly string[]): Promise<Promise<ImageView>[]> {
  const targets = resolveTargets(references, await cli.api().listImages(), 'image');
  return targets.map(async (target) => {
    if ('error' in target) throw target.error;
    return target.vm;
  });
}
