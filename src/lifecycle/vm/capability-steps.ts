import type { Capability } from '../../capabilities/capability.ts';
import type { Step } from '../pipeline.ts';
import type { VmContext } from '../vm-context.ts';

/** @returns the steps of one kind, in the order of the capabilities. */
export function present(capabilities: readonly Capability[], kind: 'prepare' | 'beforeStart' | 'afterStart'): Step<VmContext>[] {
  return capabilities.flatMap((capability) => capability[kind] ?? []);
}
