import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Companion } from '../../context/capability.ts';
import type { LiveMachine } from '../../context/machines.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { isHidden } from '../../model/hidden.ts';

/** Starts what runs beside a VM from now on. Nothing runs beside a machine that no user has: it stands still most of its life. */
export function accompany(context: VmContext, live: LiveMachine, since: keyof Companion): void {
  if (isHidden(context.vm)) return;
  for (const { companion } of ALL_CAPABILITIES) companion?.[since]?.(context, live);
}
