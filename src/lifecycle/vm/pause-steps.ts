// A paused VM: its vCPUs stand still, and its memory stays where it is.
import { listenAgain, standBy } from '../../capabilities/idle.ts';
import { listenersOf, reachable } from '../../capabilities/ports.ts';
import type { Reach } from '../../context/machines.ts';
import { renewCompanions } from '../../context/machines.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runSteps, type Step } from '../../context/pipeline.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { messageOf } from '../../lib/message-of.ts';
import { BangerError } from '../../model/errors.ts';
import type { VmSleep } from '../../model/vm.ts';
import { rejoin } from '../adopt.ts';

/** A guest that has stood still answers at once; one whose host is busy takes longer. */
const ANSWER_MS = 5000;

/**
 * Pauses a VM. The record says so first: whoever wants to use the VM from then on waits, and wakes it.
 * @throws UNSUPPORTED; BUSY if somebody connects at that moment; the VM then runs on
 */
export async function standStill(context: VmContext, operation: OperationHandle, why: VmSleep['why']): Promise<void> {
  const { services, vm, drivers } = context;
  const { machine, reach } = services.vms.machines.get(vm);
  if (machine.pause === undefined || machine.resume === undefined) {
    throw new BangerError('UNSUPPORTED', `VM ${vm.name} cannot be paused: ${drivers.hypervisor.name} cannot do that`, {
      remedy: `banger vm stop ${vm.name}`,
    });
  }
  const since = services.world.clock.now().toISOString();
  context.move('paused', { sleep: { since, why, ports: why === 'idle' ? portsOf(reach) : [] } });
  try {
    const steps = why === 'idle' ? [handOver, halt] : [halt];
    await runSteps({ steps, context, journal: operation.journal, signal: operation.signal });
  } catch (error) {
    const isUndone = !(error instanceof BangerError) || error.undoErrors.length === 0;
    if (isUndone) context.move('running', { sleep: null });
    else context.move('error', { sleep: null, lastError: `it could not be paused, and may stand still: ${messageOf(error)}` });
    throw error;
  }
}

/** Also those that could not be reached just now: the guest listens there, and the stand-in tries again. */
function portsOf({ guestPorts, results }: Reach): VmSleep['ports'] {
  const reached = reachable(results);
  const others = listenersOf(guestPorts).filter(
    ({ protocol, port }) => protocol === 'tcp' && !reached.some(({ guestPort }) => guestPort === port),
  );
  return [...reached, ...others.map(({ port }) => ({ guestPort: port, hostPort: port }))];
}

/** From here on the host listens in the guest's stead. A connection that came meanwhile would be cut off by a suspend. */
const handOver: Step<VmContext> = {
  name: 'stand-in',
  title: 'ports in its stead',
  async apply(context) {
    const { services, vm, network, drivers, addressOnHost, operation } = context;
    const live = services.vms.machines.get(vm);
    // A list of ports that is on its way must not open them again.
    live.companions.abort();
    await live.reach.turn;
    await drivers.network.setForwards(network, [], live.machine);
    for (const problem of await standBy(context)) operation.log(`a connection there does not wake it: ${problem}`);
    if ((await services.world.processes.connectedAddresses()).has(addressOnHost)) {
      throw new BangerError('BUSY', `somebody has just connected to ${vm.name}`);
    }
  },
  async undo(context) {
    const live = context.services.vms.machines.find(context.vm.id);
    if (live === undefined) return;
    renewCompanions(live);
    await listenAgain(context, live);
    await rejoin(context, live);
  },
};

/** What runs beside a VM would take one that stands still for broken. */
const halt: Step<VmContext> = {
  name: 'pause',
  title: 'vCPUs',
  async apply({ services, vm }) {
    const { companions, machine } = services.vms.machines.get(vm);
    companions.abort();
    await machine.pause?.();
  },
  async undo(context) {
    if (context.services.vms.machines.find(context.vm.id) !== undefined) await goOn(context);
  },
};

/** Lets a paused VM go on, at the time of the host. @throws what could not be set up beside it; it runs nevertheless */
export async function goOnPaused(context: VmContext): Promise<void> {
  const failures = await goOn(context);
  context.move('running', { sleep: null, lastUsedAt: context.services.world.clock.now().toISOString() });
  for (const failure of failures) throw failure;
}

/** @returns what could not be set up beside the VM */
async function goOn(context: VmContext): Promise<unknown[]> {
  const { services, vm } = context;
  const live = services.vms.machines.get(vm);
  await live.machine.resume?.();
  // Nobody uses the guest before its clock is right; if it does not answer, the watch of its clock goes on trying.
  await live.agent.setClock({ timeoutMs: ANSWER_MS }).catch((error: unknown) => {
    services.world.warn('the clock of a VM that goes on is not known', { vm: vm.name, reason: messageOf(error) });
  });
  renewCompanions(live);
  return rejoin(context, live);
}
