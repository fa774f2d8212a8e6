import { shortId } from './vm.ts';

/** What banger keeps for itself, so that VMs are made faster. The states of the same names say more (model/vm-state.ts). */
export type HiddenKind = 'template' | 'spare';

/** @returns a name that no user can take or write: it has a dot */
export function hiddenName(kind: HiddenKind, vm: { id: string }): string {
  return `${kind}.${shortId(vm)}`;
}

/** @returns whether this machine is banger's own, in whatever state: no user sees it, and no command reaches it */
export function isHidden({ name }: { name: string }): boolean {
  return name.includes('.');
}
