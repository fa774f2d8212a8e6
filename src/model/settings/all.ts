import { hostTrustSettings } from './host-trust.ts';
import { idleSettings } from './idle.ts';
import { networkSettings } from './network.ts';
import { resourceSettings } from './resources.ts';
import { rootOverlaySettings } from './root-overlay.ts';
import type { NumberSetting, Setting } from './setting.ts';
import { workDiskSettings } from './work-disk.ts';

/** Every setting of a VM, in the order in which users see them. Each file has the name of the capability whose settings it declares. */
export const SETTINGS = {
  ...resourceSettings,
  ...workDiskSettings,
  ...rootOverlaySettings,
  ...networkSettings,
  ...hostTrustSettings,
  ...idleSettings,
};

export type AllSettings = typeof SETTINGS;
export type Member = keyof AllSettings;
export type NumberMember = { [M in Member]: AllSettings[M] extends NumberSetting ? M : never }[Member];

export function allSettings(): [Member, Setting][] {
  return Object.entries(SETTINGS) as [Member, Setting][];
}

export function numberSettings(): [NumberMember, NumberSetting][] {
  return allSettings().filter((entry): entry is [NumberMember, NumberSetting] => entry[1].kind !== 'switch' && entry[1].kind !== 'text');
}
