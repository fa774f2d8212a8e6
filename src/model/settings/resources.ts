import type { Settings } from './setting.ts';

/** What the VMM gives the guest of the host. */
export const resourceSettings = {
  vcpuCount: {
    kind: 'count',
    flag: 'vcpu',
    name: 'processors',
    help: 'processors',
    /** Firecracker takes 1 to 32 (its machine-config API). */
    range: { min: 1, max: 32 },
    default: 2,
    needsStop: true,
    label: 'processors',
    column: { title: 'VCPU', in: 'table' },
  },
  memoryMib: {
    kind: 'memory',
    flag: 'memory',
    name: 'memory',
    help: 'memory, MiB or with a unit',
    /** Debian's kernel and systemd need about 100 MiB to boot; the maximum is what one host can plausibly have. */
    range: { min: 128, max: 1_048_576 },
    default: 1024,
    needsStop: true,
    label: 'memory',
    column: { title: 'MEMORY', in: 'table' },
  },
} as const satisfies Settings;
