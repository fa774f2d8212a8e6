import type { Settings } from './setting.ts';

export const networkSettings = {
  nat: {
    kind: 'switch',
    flag: 'nat',
    claim: 'may reach the network outside',
    meaning: 'whether the VM may reach the network outside',
    help: { on: 'let it reach the network outside', off: 'cut it off from the network outside' },
    default: true,
    needsStop: false,
    label: 'nat',
    column: { title: 'NAT', in: 'wide' },
  },
} as const satisfies Settings;
