import { tellTroubles } from '../../context/guest-troubles.ts';
import type { VmContext } from '../../context/vm-context.ts';
import type { CallOptions } from '../../guest/agent-call.ts';
import { given } from '../../lib/given.ts';
import { accompany } from './companions.ts';
import { guestDraft } from './start-steps.ts';
import { machineSpec } from './vmm.ts';

/**
 * Lets a guest go on that stands still with the memory of another VM. The first thing that it gets to know is that it is another machine;
 * nobody can reach it before. What it has mounted and started goes on.
 */
export async function goOnAsAnother(context: VmContext, options: CallOptions): Promise<void> {
  const { services, vm } = context;
  const live = services.vms.machines.get(vm);
  const { mounts: _mounts, growRoot: _growRoot, service: _service, network, ...own } = await guestDraft(context);
  const card = machineSpec(context).network;
  const macAddress = card.kind === 'none' ? undefined : card.macAddress;
  const identity = { ...own, network: network && { ...network, ...given({ macAddress }) }, restored: true as const };
  await live.machine.resume?.();
  const { troubles, hasSshServer } = await live.agent.personalize(identity, options);
  tellTroubles(context, troubles);
  const runtime = { bootId: services.world.processes.bootId(), ...context.vm.runtime, ...given({ hasSshServer }) };
  context.update({ runtime, startedAt: services.world.clock.now().toISOString() });
  accompany(context, live, 'whileUp');
}
