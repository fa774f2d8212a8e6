// What one setting of a VM is. Schemas, flags, rules and tables follow from its declaration, which is plain data: the CLI loads it, and must not load zod.
import type { Image } from '../image.ts';

/** What a setting counts: things, MiB of memory, bytes of a disk. What reads and writes values has a table by kind. */
export type NumberKind = 'count' | 'memory' | 'disk';

type Common = {
  /** Without its dashes. The key of its default in config.toml is the same, with `_`. */
  flag: string;
  /** Whether a VMM reads it only when it starts. */
  needsStop: boolean;
  /** What the API says of it, where the name of the member does not say it all. */
  meaning?: string;
  /** Its line of `vm show`. */
  label: string;
  /** Its column of `vm list`, in the table or in the wide one alone. */
  column?: { title: string; in: 'table' | 'wide' };
};

export type NumberSetting = Common & {
  kind: NumberKind;
  /** As sentences say it. */
  name: string;
  /** What the flag's help says. */
  help: string;
  range: { min: number; max: number };
  default: number;
  onlyGrows?: true;
  /** Least that a VM of this image can have; a default that is less gives way. */
  leastOf?(image: Image): number;
};

export type SwitchSetting = Common & {
  kind: 'switch';
  /** What the VM does that has it: "may reach the network outside". */
  claim: string;
  /** What the help of the flag says, and of that with `--no-`. */
  help: { on: string; off: string };
  /** Null: the member is absent until a user sets it. */
  default: boolean | null;
  /** The word of `vm show` for one that is on, which is silent otherwise; without it: yes and no. */
  shownOn?: string;
};

export type Setting = NumberSetting | SwitchSetting;
/** By member of VmSpec. */
export type Settings = Readonly<Record<string, Setting>>;

export type ValueOf<One extends Setting> = One extends NumberSetting ? number : boolean;
type Unsaid<One extends Setting> = One['default'] extends null ? true : false;

/** What a VM has of these settings. */
export type SpecOf<All extends Settings> = Plain<
  { -readonly [Member in keyof All as Unsaid<All[Member]> extends true ? never : Member]: ValueOf<All[Member]> } & {
    -readonly [Member in keyof All as Unsaid<All[Member]> extends true ? Member : never]?: ValueOf<All[Member]>;
  }
>;
/** One type in place of two that are joined; editors show its members. */
type Plain<Joined> = { [Member in keyof Joined]: Joined[Member] };

/** What a user asks for; settings that are left out keep their value or get their default. */
export type Asked<All extends Settings> = { -readonly [Member in keyof All]?: ValueOf<All[Member]> | undefined };

/** @returns of each setting what is asked for, or else what is there; a member that neither has is left out */
export function settle<All extends Settings>(settings: All, asked: Asked<All>, present: SpecOf<All>): SpecOf<All> {
  const [first, second] = [asked, present] as Readonly<Record<string, unknown>>[];
  const values = Object.keys(settings).map((member) => [member, first?.[member] ?? second?.[member]] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as SpecOf<All>;
}
