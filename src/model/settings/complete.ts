import { BangerError } from '../errors.ts';
import type { Image } from '../image.ts';
import type { VmSpec } from '../vm.ts';
import { type AllSettings, numberSettings, SETTINGS } from './all.ts';
import { type Asked, type NumberSetting, settle } from './setting.ts';
import { WRITTEN } from './text.ts';

/**
 * Fills in the defaults. If the image is larger than a default size, the default gives way; a size that the user chose does not.
 * @throws INVALID_INPUT if a chosen disk is smaller than the image's
 */
export function completeSpec(defaults: VmSpec, asked: Asked<AllSettings>, image: Image): VmSpec {
  const spec = settle(SETTINGS, asked, defaults);
  for (const [member, setting] of numberSettings()) {
    const least = setting.leastOf?.(image);
    const value = spec[member];
    if (least === undefined || value === undefined || value >= least) continue;
    if (asked[member] !== undefined) throw tooSmall(setting, asked[member], least);
    spec[member] = least;
  }
  return spec;
}

function tooSmall({ kind, name, flag }: NumberSetting, asked: number, least: number): BangerError {
  const { text, word } = WRITTEN[kind];
  return new BangerError('INVALID_INPUT', `a ${name} of ${text(asked)} is smaller than the image's ${text(least)}`, {
    remedy: `use --${flag} ${word(least)} or more`,
    details: { minimum: least },
  });
}
