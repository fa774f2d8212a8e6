// What the console of a guest that came to nothing says of its disks, which are its owner's to mend.
import type { Vm } from '../../model/vm.ts';
import type { VmContext } from '../../context/vm-context.ts';

/** By what stands on the console: of banger's initramfs, or of Linux. */
const ENDS: readonly [RegExp, string][] = [
  [/^banger-init: \/dev\/.*no ext4/, 'there is no ext4 file system on its root disk'],
  [/^banger-init: \/dev\/.*damaged/, 'the file system of its root disk is damaged'],
  [/^banger-init: \/dev\//, 'its root disk cannot be mounted'],
  [/Attempted to kill init/, 'its init ended'],
];

/**
 * @param lines the last of the console
 * @returns why the VM cannot run from its own disks; undefined when it is not because of them
 */
export function faultOfDisks({ runtime }: Pick<Vm, 'runtime'>, lines: readonly string[]): string | undefined {
  if (runtime?.rescue === true) return undefined;
  return ENDS.find(([pattern]) => lines.some((line) => pattern.test(line)))?.[1];
}

/** @returns the last lines that the VM's console said, at most `count` */
export async function lastWords({ paths, services }: Pick<VmContext, 'paths' | 'services'>, count: number): Promise<string[]> {
  const serial = (await services.world.files.readIfThere(paths.serialLog)) ?? '';
  const lines = serial.trimEnd().split(/\r?\n/);
  return lines.slice(-count).filter((line) => line !== '');
}
