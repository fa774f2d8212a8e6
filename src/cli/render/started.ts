import type { VmView } from '../../api/schemas.ts';
import type { Cli } from '../cli.ts';
import { safeLine } from '../../lib/terminal-text.ts';

/** Notes what a VM that has just started lacks, or what its rescue system is for. */
export function tellStarted(cli: Cli, vm: VmView | null): void {
  if (vm?.state !== 'running') return;
  for (const { reason, remedy } of vm.troubles) cli.note(safeLine(`it runs, but: ${reason} (try: ${remedy})`));
  if (!vm.rescue) return;
  cli.note(`${vm.name} runs a rescue system; its own disks are /dev/vdb (root) and /dev/vdc (/root), not mounted`);
  cli.note(`check them: banger vm exec ${vm.name} -- e2fsck -f -y /dev/vdb`);
  cli.note(`mount them: banger vm exec ${vm.name} -- mount /dev/vdb /mnt/root (and /dev/vdc /mnt/work)`);
  cli.note(`boot from them again: banger vm restart ${vm.name}`);
}
