import { NEVER_RUN, type Vm } from '../../../src/model/vm.ts';

/** A stopped VM as the store keeps it. @param change what matters to the test */
export function vmRecord(change: Partial<Vm>): Vm {
  return {
    ...NEVER_RUN,
    ...{ id: 'a'.repeat(32), name: 'web', state: 'stopped', imageId: '1', imageName: 'default', networkIndex: 1 },
    spec: { vcpuCount: 1, memoryMib: 512, workDiskBytes: 1, rootOverlayBytes: 1, nat: true },
    createdAt: '2026-01-01T00:00:00Z',
    ...change,
  };
}
