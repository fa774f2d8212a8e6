import type { Vm } from '../../../src/model/vm.ts';

/** A stopped VM as the store keeps it. @param change what matters to the test */
export function vmRecord(change: Partial<Vm>): Vm {
  return {
    ...{ id: 'a'.repeat(32), name: 'web', state: 'stopped', imageId: '1', imageName: 'default', networkIndex: 1 },
    spec: { vcpuCount: 1, memoryMib: 512, workDiskBytes: 1, rootOverlayBytes: 1, nat: true },
    ...{ createdAt: '2026-01-01T00:00:00Z', startedAt: null, lastUsedAt: null },
    ...{ runtime: null, sleep: null, keepAwake: null, sshHostKey: null, lastError: null, forwards: [], labels: {} },
    ...change,
  };
}
