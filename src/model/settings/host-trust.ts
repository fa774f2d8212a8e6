import { type Asked, settle, type Settings, type SpecOf } from './setting.ts';

export const hostTrustSettings = {
  hostCa: {
    kind: 'switch',
    flag: 'host-ca',
    claim: 'trust the certificate authorities added to this host',
    meaning: 'whether the guest trusts the authorities that were added to the host',
    help: { on: 'trust the certificate authorities that were added to this host', off: 'trust only the authorities of its distribution' },
    default: null,
    needsStop: true,
    label: 'host ca',
    shownOn: 'trusted',
  },
  hostProxy: {
    kind: 'switch',
    flag: 'host-proxy',
    claim: 'use its proxies',
    meaning: 'whether the guest uses the proxies of the host',
    help: { on: 'use the proxies of this host', off: 'use no proxy of this host' },
    default: null,
    needsStop: true,
    label: 'host proxy',
    shownOn: 'told',
  },
} as const satisfies Settings;

/** Settings of the host's trust; guests of image builds have them, too. */
export type HostTrust = SpecOf<typeof hostTrustSettings>;

/** @returns the request's values, or else the present ones; a setting without either is left out */
export function trustOf(asked: Asked<typeof hostTrustSettings>, present: HostTrust): HostTrust {
  return settle(hostTrustSettings, asked, present);
}
