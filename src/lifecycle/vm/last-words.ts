// Reads from the console of a guest that did not boot what is wrong with its disks, which only the user can repair.
import type { Vm } from '../../model/vm.ts';
import type { VmContext } from '../../context/vm-context.ts';

/** By text on the console, from banger's initramfs or from Linux. */
const ENDS: readonly [RegExp, string][] = [
  [/^banger-init: \/dev\/.*no ext4/, 'there is no ext4 file system on its root disk'],
  [/^banger-init: \/dev\/.*damaged/, 'the file system of its root disk is damaged'],
  [/^banger-init: \/dev\//, 'its root disk cannot be mounted'],
  [/Attempted to kill init/, 'its init ended'],
];

/**
 * @param lines the last of the console
 * @returns why the VM cannot run from its own disks; undefined if they are not the cause
 */
export function faultOfDisks({ runtime }: Pick<Vm, 'runtime'>, lines: readonly string[]): string | undefined {
  if (runtime?.rescue === true) return undefined;
  return ENDS.find(([pattern]) => lines.some((line) => pattern.test(line)))?.[1];
}

/** @returns the last lines on the VM's console, at most `count` */
export async function lastWords({ paths, services }: Pick<VmContext, 'paths' | 'services'>, count: number): Promise<string[]> {
  const serial = (await services.world.files.readIfThere(paths.serialLog)) ?? '';
  const lines = serial.trimEnd().split(/\r?\n/);
  return lines.slice(-count).filter((line) => line !== '');
}
