// What a setting of a VM consists of. Schemas, flags, rules and tables follow from its declaration. A declaration is plain data, because
// the CLI loads it, and must not load zod.
import type { Image } from '../image.ts';

/** What a setting counts: things, MiB of memory, bytes of a disk, seconds (0: never). Code that reads and writes values has a table by kind. */
export type NumberKind = 'count' | 'memory' | 'disk' | 'duration';

type Common = {
  /** Without its dashes. The key of its default in config.toml is the same, with `_`. */
  flag: string;
  /** Whether a VMM reads it only when it starts. */
  needsStop: boolean;
  /** What the API says about it, if the member's name does not say it all. */
  meaning?: string;
  /** Its line of `vm show`. */
  label: string;
  /** Its column of `vm list`, in the plain table or only in the wide one. */
  column?: { title: string; in: 'table' | 'wide' };
};

export type NumberSetting = Common & {
  kind: NumberKind;
  /** Its name in sentences. */
  name: string;
  /** The flag's help. */
  help: string;
  range: { min: number; max: number };
  /** Null: the member is absent until a user sets it. */
  default: number | null;
  onlyGrows?: true;
  /** The minimum for a VM of this image; a smaller default gives way. */
  leastOf?(image: Image): number;
};

export type SwitchSetting = Common & {
  kind: 'switch';
  /** What a VM with it does: "may reach the network outside". */
  claim: string;
  /** The help of the flag, and of its `--no-` form. */
  help: { on: string; off: string };
  /** Null: the member is absent until a user sets it. */
  default: boolean | null;
  /** The word in `vm show` if it is on; otherwise nothing is shown. Without this word: yes and no. */
  shownOn?: string;
};

/** Text that is empty when the user took it back. */
export type TextSetting = Common & {
  kind: 'text';
  /** Its name in sentences. */
  name: string;
  /** The flag's help, and the name of its value there. */
  help: string;
  placeholder: string;
  /** The member is absent until a user sets it. */
  default: null;
  /** @returns what is wrong with a value; undefined if nothing is */
  problemOf(text: string): string | undefined;
};

export type Setting = NumberSetting | SwitchSetting | TextSetting;
/** By member of VmSpec. */
export type Settings = Readonly<Record<string, Setting>>;

export type ValueOf<One extends Setting> = One extends NumberSetting ? number : One extends TextSetting ? string : boolean;
export type Unsaid<One extends Setting> = One['default'] extends null ? true : false;

/** A VM's values of these settings. */
export type SpecOf<All extends Settings> = Plain<
  { -readonly [Member in keyof All as Unsaid<All[Member]> extends true ? never : Member]: ValueOf<All[Member]> } & {
    -readonly [Member in keyof All as Unsaid<All[Member]> extends true ? Member : never]?: ValueOf<All[Member]>;
  }
>;
/** Turns a joined type into a single one, so that editors show its members. */
type Plain<Joined> = { [Member in keyof Joined]: Joined[Member] };

/** A request of a user; settings that are left out keep their value or get their default. */
export type Asked<All extends Settings> = { -readonly [Member in keyof All]?: ValueOf<All[Member]> | undefined };

/** @returns for each setting the requested value, or else the present one; a member without either is left out */
export function settle<All extends Settings>(settings: All, asked: Asked<All>, present: SpecOf<All>): SpecOf<All> {
  const [first, second] = [asked, present] as Readonly<Record<string, unknown>>[];
  const values = Object.keys(settings).map((member) => [member, first?.[member] ?? second?.[member]] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as SpecOf<All>;
}
