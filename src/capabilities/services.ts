import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../model/errors.ts';
import type { Capability } from './capability.ts';

const POLL_MS = 200;
/** Under emulation a service such as opencode needs more than a minute. */
const SERVICE_TIMEOUT_MS = 600_000;

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
            remedy: `look inside: banger vm exec ${vm.name} -- systemctl --failed`,
          });
        }
        await sleep(POLL_MS, undefined, { signal });
      }
    },
  },
};
