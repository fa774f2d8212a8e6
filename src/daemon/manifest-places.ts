import type { Directories } from '../lib/directories.ts';
import { vmPaths } from '../model/paths.ts';
import type { ManifestPlaces } from '../store/vm-manifests.ts';
import type { Log } from './log.ts';

/** Manifests lie beside the disks of their VMs; a failed write is logged. */
export function manifestPlaces(directories: Directories, log: Log): ManifestPlaces {
  return {
    pathOf: (vm) => vmPaths(directories, vm).manifest,
    onUnwritten: ({ name }, err) => log.warn({ vm: name, err }, 'the manifest of a VM could not be written'),
  };
}
