import type { Settings } from './setting.ts';

export const networkSettings = {
  nat: {
    kind: 'switch',
    flag: 'nat',
    claim: 'may reach the outside',
    meaning: 'whether the VM may reach the outside',
    help: { on: 'let it reach the outside', off: 'cut it off from the outside' },
    default: true,
    needsStop: false,
    label: 'nat',
    column: { title: 'NAT', in: 'wide' },
  },
} as const satisfies Settings;
