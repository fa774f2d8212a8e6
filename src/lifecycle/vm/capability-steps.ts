import type { Capability } from '../../context/capability.ts';
import type { Step } from '../../context/pipeline.ts';
import type { VmContext } from '../../context/vm-context.ts';

/** @returns the steps of one kind, in the order of the capabilities */
export function stepsOf(capabilities: readonly Capability[], kind: 'prepare' | 'beforeStart' | 'afterStart'): Step<VmContext>[] {
  return capabilities.flatMap((capability) => capability[kind] ?? []);
}
