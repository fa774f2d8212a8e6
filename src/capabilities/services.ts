import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../model/errors.ts';
import type { InitSystem } from '../model/image.ts';
import { addTroubles } from '../context/guest-troubles.ts';
import type { VmContext } from '../context/vm-context.ts';
import type { Capability } from '../context/capability.ts';
import { messageOf } from '../lib/message-of.ts';

const POLL_MS = 200;
/** Under emulation a service such as opencode needs more than a minute. */
const SERVICE_TIMEOUT_MS = 600_000;

/** How long doctor waits for an answer of the guest. */
const ASK_TIMEOUT_MS = 3000;

/** @returns the command that shows what happened to the VM's services */
function howToLook(name: string, initSystem: InitSystem): string {
  // The guest agent writes the output of an entrypoint to the console.
  if (initSystem === 'none') return `banger vm logs ${name}`;
  return `banger vm exec ${name} -- ${initSystem === 'runit' ? "sh -c 'sv status /etc/service/*'" : 'systemctl --failed'}`;
}

/** Waits for the ports. @returns the ports that still have no listener at the time limit */
async function missingAtLast({ vm, image, services }: VmContext, signal: AbortSignal): Promise<number[]> {
  const { agent } = services.vms.machines.get(vm);
  let deadline = performance.now() + SERVICE_TIMEOUT_MS;
  for (let isDegraded = false; ;) {
    const listening = new Set((await agent.ports({ signal })).map((p) => p.port));
    const missing = image.servicePorts.filter((port) => !listening.has(port));
    if (missing.length === 0 || performance.now() > deadline) return missing;
    if (!isDegraded && vm.state !== 'creating' && ['degraded', 'maintenance'].includes((await agent.healthz({ signal })).init)) {
      isDegraded = true;
      deadline = Math.min(deadline, performance.now() + services.settings.degradedWaitMs);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Waits until the services that the image declares listen. */
export const services: Capability = {
  name: 'services',
  traits: { forPeople: true, waitsForGuest: true, ofOwnSystem: true },
  afterStart: {
    name: 'services',
    title: 'services',
    isDone: ({ image }) => image.servicePorts.length === 0,
    async apply(context, signal) {
      const { vm, image } = context;
      const missing = await missingAtLast(context, signal);
      if (missing.length === 0) return;
      const reason = `nothing listens on guest port ${missing.join(', ')} of ${vm.name}`;
      const remedy = howToLook(vm.name, image.initSystem);
      // A new VM runs what its image declares. In a VM that was used before, its owner decides what runs.
      if (vm.state === 'creating') throw new BangerError('TIMEOUT', reason, { remedy });
      context.operation.log(reason);
      addTroubles(context, [{ reason, remedy }]);
    },
  },
  async doctor({
    vm,
    image,
    services: {
      vms: { machines },
    },
  }) {
    const live = machines.find(vm.id);
    if (vm.state !== 'running' || live === undefined) return [];
    const base = { level: 'warn', vm: vm.name } as const;
    try {
      const ports = await live.agent.ports({ signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
      const missing = image.servicePorts.filter((wanted) => ports.every(({ port }) => port !== wanted));
      if (missing.length === 0) return [];
      const reason = `nothing listens on guest port ${missing.join(', ')} of ${vm.name}`;
      return [{ ...base, name: 'services', reason, remedy: howToLook(vm.name, image.initSystem) }];
    } catch (error) {
      const reason = `the agent of ${vm.name} does not answer: ${messageOf(error)}`;
      return [{ ...base, name: 'agent', reason, remedy: `banger vm logs ${vm.name} && banger vm restart ${vm.name}` }];
    }
  },
};
