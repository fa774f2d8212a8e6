// The parts that a guest could not set up, in words for people.
import { getSystemErrorName } from 'node:util';
import type { GuestTrouble } from '../guest/protocol.ts';
import type { VmTrouble } from '../model/vm.ts';
import type { VmContext } from './vm-context.ts';

const ROOT_DIRECTORY = 'the directory /';

/** By Linux errno. */
const CAUSES: Readonly<Record<number, string>> = {
  1: 'it is immutable (chattr)',
  2: 'it is missing, or a dangling link',
  5: 'its disk cannot be read or written',
  8: 'it is not a program',
  13: 'access is denied',
  17: 'something other than a file is in its place',
  19: 'the device is missing',
  20: 'a file is in place of a directory',
  21: 'a directory is in its place',
  22: 'there is no ext4 file system',
  27: 'it is too large',
  28: 'its file system is full',
  30: 'its file system is read-only',
  40: 'its links form a loop',
  79: 'the program that loads or runs it is missing',
  117: 'its file system is damaged',
  122: 'a quota is used up',
};

/** By the name of the thing, where the errno says less. */
const CAUSES_OF: Readonly<Record<string, string>> = { [ROOT_DIRECTORY]: 'users other than root may change it, which sshd refuses' };

/** @returns what could not be set up, why, how the guest works around it, and the remedy */
export function explainTrouble({ what, errno, held }: GuestTrouble, vmName: string): VmTrouble {
  // For a whole file system, ext4 reports its errors with this errno.
  const isRefused = errno === 1 && !what.startsWith('/');
  const cause = isRefused ? 'its file system has errors' : (CAUSES_OF[what] ?? CAUSES[errno] ?? getSystemErrorName(-errno));
  const instead = { memory: '; it is held in memory until the VM stops', 'read-only': '; it is mounted read-only', none: '' }[
    held ?? 'none'
  ];
  return { reason: `${what}: ${cause}${instead}`, remedy: remedyOf(what, errno, vmName) };
}

const DAMAGE = new Set([5, 22, 117]);

/** The command in the VM that repairs it. It needs neither a shell nor a user in the guest. */
const MENDED_INSIDE: readonly [RegExp, (vmName: string) => string][] = [
  [new RegExp(`^${ROOT_DIRECTORY}$`), (vm) => `banger vm exec ${vm} -- sh -c 'chown root:root / && chmod 755 /'`],
  [/^the shell of root,/, (vm) => `banger vm exec ${vm} -- usermod --shell /bin/sh root`],
  [/^root in \/etc\/passwd$/, (vm) => `banger vm exec ${vm} -- sh -c 'echo root:x:0:0:root:/root:/bin/sh >>/etc/passwd'`],
  [/ in \/etc\/fstab$/, (vm) => `remove its line, or add the option nofail: banger vm exec ${vm} -- cat /etc/fstab`],
];

function remedyOf(what: string, errno: number, vmName: string): string {
  const isPath = /^\/[\w./@+-]+$/.test(what);
  const inside = MENDED_INSIDE.find(([pattern]) => pattern.test(what))?.[1];
  if (inside !== undefined) return inside(vmName);
  if (errno === 28) return `free some space or some files in the VM: banger vm exec ${vmName} -- df --output=target,avail,iavail / /root`;
  if (errno === 122) return `look at the quotas of the VM: banger vm exec ${vmName} -- df -h / /root`;
  if (errno === 1 && isPath) return `banger vm exec ${vmName} -- chattr -ia ${what}`;
  if (DAMAGE.has(errno) || !isPath || /init/.test(what)) return `banger vm restart --rescue ${vmName}`;
  return errno === 30 ? `banger vm restart --rescue ${vmName}` : `banger vm exec ${vmName} -- ls -ld ${what}`;
}

/** Records what the guest reported. In a rescue, files that are only in memory are no problem. */
export function tellTroubles(context: VmContext, told: readonly GuestTrouble[]): void {
  const { vm, services, operation } = context;
  const isRescue = vm.runtime?.rescue === true;
  const troubles = told.filter(({ errno }) => !isRescue || errno !== 30).map((trouble) => explainTrouble(trouble, vm.name));
  for (const { reason } of troubles) operation.log(reason);
  addTroubles(context, troubles);
  if (troubles.length > 0)
    services.world.warn('a VM started, but parts of it could not be set up', { vm: vm.name, troubles: troubles.length });
}

/** Adds to the problems that are known already. */
export function addTroubles({ vm, services, update }: VmContext, added: readonly VmTrouble[]): void {
  const known = vm.runtime?.troubles ?? [];
  // A boot that hung is started again, and reports the same again.
  const fresh = added.filter(({ reason }) => known.every((one) => one.reason !== reason));
  if (fresh.length === 0) return;
  const troubles = [...known, ...fresh];
  update({ runtime: { bootId: services.world.processes.bootId(), ...vm.runtime, troubles } });
}
