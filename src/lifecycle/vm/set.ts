import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Change, Changeable } from '../../context/capability.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { decideChange, type VmChangeRequest } from '../../model/vm-change.ts';
import type { Vm } from '../../model/vm.ts';
import { preflight } from '../health/preflight.ts';
import { runSteps, type Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { verb } from './verbs.ts';
import { assertEnded } from './vmm.ts';

/**
 * Changes a VM. The whole request is checked before anything is changed: now, and again once the VM's lock is held.
 * @throws INVALID_INPUT, WRONG_STATE, NAME_TAKEN before anything is recorded
 */
export function setVm(services: LifecycleServices, vm: Vm, asked: VmChangeRequest): OperationRecord {
  judge(services, vm, asked);
  return verb(services, vm, 'set', async (operation, present) => {
    const context = makeContext(services, present, operation);
    const to = judge(services, present, asked);
    const { name, spec, labels } = present;
    const steps = setSteps({ from: { name, spec, labels }, to, isRunning: present.state === 'running' });
    await runSteps({ steps, context, journal: operation.journal, signal: operation.signal });
  });
}

function judge(services: LifecycleServices, vm: Vm, asked: VmChangeRequest): Changeable {
  const to = decideChange(vm, asked);
  for (const { change } of ALL_CAPABILITIES) change?.check?.(services, vm, to);
  services.vms.records.assertNameFree({ id: vm.id, name: to.name });
  return to;
}

/** Changes that cannot be undone come directly before the record. If recording fails, the next change corrects what exceeds the record. */
function setSteps(change: Change): Step<VmContext>[] {
  const changes = ALL_CAPABILITIES.toReversed().flatMap((capability) => capability.change ?? []);
  return [
    ...(change.isRunning ? [] : [ended]),
    ...(changes.some((one) => one.takesSpace?.(change) === true) ? [space] : []),
    ...changes.flatMap((one) => one.make?.(change) ?? []),
    record(change),
    ...(change.isRunning ? changes.flatMap((one) => one.publish?.(change) ?? []) : []),
  ];
}

/** Disks and sizes belong to the VMM as long as it lives, whatever the record says. */
const ended: Step<VmContext> = { name: 'check', title: 'no VMM', apply: (context) => assertEnded(context) };

const space: Step<VmContext> = {
  name: 'space',
  title: 'free space',
  apply: ({ services, vm }) => preflight(services, 'vm set --disk-size', { vm }),
};

function record({ from, to }: Change): Step<VmContext> {
  return {
    name: 'record',
    title: 'record',
    apply: ({ update }) => update(to),
    undo: ({ update }) => update(from),
  };
}
