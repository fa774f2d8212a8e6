import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../model/errors.ts';
import type { InitSystem } from '../model/image.ts';
import type { Capability } from './capability.ts';

const POLL_MS = 200;
/** Under emulation a service such as opencode needs more than a minute. */
const SERVICE_TIMEOUT_MS = 600_000;

/** How long doctor waits for an answer of the guest. */
const ASK_TIMEOUT_MS = 3000;

/** @returns the command that tells what became of the services of a VM */
function howToLook(name: string, initSystem: InitSystem): string {
  // What the agent runs in place of an init writes to the console.
  if (initSystem === 'none') return `banger vm logs ${name}`;
  return `banger vm exec ${name} -- ${initSystem === 'runit' ? "sh -c 'sv status /etc/service/*'" : 'systemctl --failed'}`;
}

/** Waits until the services that the image declares listen (3.3). */
export const services: Capability = {
  name: 'services',
  afterStart: {
    name: 'services',
    title: 'services',
    isDone: ({ image }) => image.servicePorts.length === 0,
    async apply({ vm, image, services: { machines } }, signal) {
      const { agent } = machines.get(vm);
      const deadline = performance.now() + SERVICE_TIMEOUT_MS;
      for (;;) {
        const listening = new Set((await agent.ports({ signal })).map((p) => p.port));
        const missing = image.servicePorts.filter((port) => !listening.has(port));
        if (missing.length === 0) return;
        if (performance.now() > deadline) {
          throw new BangerError('TIMEOUT', `nothing listens on guest port ${missing.join(', ')} of ${vm.name}`, {
            remedy: howToLook(vm.name, image.initSystem),
          });
        }
        await sleep(POLL_MS, undefined, { signal });
      }
    },
  },
  async doctor({ vm, image, services: { machines } }) {
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
      const reason = `the agent of ${vm.name} does not answer: ${error instanceof Error ? error.message : String(error)}`;
      return [{ ...base, name: 'agent', reason, remedy: `banger vm logs ${vm.name} && banger vm restart ${vm.name}` }];
    }
  },
};
