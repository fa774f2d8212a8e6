// A setting that no list names. Import this first, because schemas, flags and columns are made when their modules load.
import { SETTINGS } from '../../../src/model/settings/all.ts';
import type { Settings, SpecOf } from '../../../src/model/settings/setting.ts';

const toySettings = {
  toySprings: {
    kind: 'count',
    flag: 'toy-springs',
    name: 'clockwork',
    meaning: 'springs of the toy',
    help: 'springs of the toy',
    range: { min: 1, max: 9 },
    default: 1,
    needsStop: false,
    onlyGrows: true,
    label: 'springs',
    column: { title: 'SPRINGS', in: 'wide' },
  },
  toyLoud: {
    kind: 'switch',
    flag: 'toy-loud',
    claim: 'are heard',
    help: { on: 'let it be heard', off: 'let it be silent' },
    default: null,
    needsStop: true,
    label: 'toy',
    shownOn: 'heard',
  },
} as const satisfies Settings;

Object.assign(SETTINGS, toySettings);

/** @returns what a spec says of the toy */
export function toyOf(spec: object): SpecOf<typeof toySettings> {
  return spec as SpecOf<typeof toySettings>;
}
