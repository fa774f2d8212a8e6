import { formatSize } from '../lib/size.ts';
import { BangerError } from '../model/errors.ts';
import type { Capability } from '../context/capability.ts';

/** Processors and memory. The VMM reads them from the record. */
export const resources: Capability = {
  name: 'resources',
  checkNew: ({ settings }, { memoryMib }) => checkMemory(memoryMib, settings.hostMemoryMib),
  change: {
    check(services, vm, { spec: { memoryMib } }) {
      if (memoryMib !== vm.spec.memoryMib) checkMemory(memoryMib, services.settings.hostMemoryMib);
    },
  },
};

/** @throws INVALID_INPUT */
function checkMemory(memoryMib: number, hostMemoryMib: number): void {
  if (memoryMib <= hostMemoryMib) return;
  const [asked, hostTotal] = [memoryMib, hostMemoryMib].map((mib) => formatSize(mib * 1024 ** 2));
  throw new BangerError('INVALID_INPUT', `a VM with ${asked} of memory does not fit into this host's ${hostTotal}`, {
    remedy: 'use a smaller --memory',
    details: { field: 'memoryMib', maximum: hostMemoryMib },
  });
}
