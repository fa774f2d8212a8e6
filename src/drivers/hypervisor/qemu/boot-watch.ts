import { setTimeout as sleep } from 'node:timers/promises';

/** The kernel's message if it could not measure the timer of its processors (calibrate_APIC_clock of Linux). */
const NO_TIMER = /APIC frequency too slow, disabling apic timer|APIC timer disabled due to verification failure/;
/** With one processor most guests boot without it; with more, none does. */
const NO_TIMER_GRACE_MS = { one: 8000, more: 1000 };
/** The input may split a line anywhere. */
const KEPT_TEXT = 200;

const LOOK_EVERY_MS = 1000;
/** A booting guest computes, or waits for a processor; a guest that does neither for this long waits for a tick that never comes. */
const IDLE_MS = 8000;
const IDLE_SHARE = 0.1;
/** A multiple of the slowest boot of this daemon so far. */
const CPU_FACTOR = 4;
/**
 * Processor time to a stage of the boot: `most` before any boot has shown how much it takes, `least` however quick a boot was. Kernels warn
 * on microvm that there is no PCI, soon after they have started their processors: a host where others take 3 s to the guest agent sees that
 * after 0.9 s.
 */
export const STAGES = {
  firstWords: { most: 12_000, least: 4000 },
  agent: { most: 30_000, least: 10_000 },
} as const;

/** What a process has used since its start; undefined while it is stopped, or if unknown. */
export type Activity = { cpuMs: number; waitedMs: number };

export type BootWatchOptions = {
  vcpuCount: number;
  activity(): Promise<Activity | undefined>;
  /** Whether the VMM has paused the guest. */
  isPaused(): boolean;
  /** Fires once the guest agent has answered, or the caller no longer waits for it. */
  over: AbortSignal;
  /** Default: the real sleep. */
  time?: Time;
};

/** The monotonic clock, milliseconds. A wait ends early, with an error or not, when its signal fires. */
type Time = { now(): number; wait(ms: number, signal: AbortSignal): Promise<unknown> };

const realTime: Time = {
  now: () => performance.now(),
  wait: (ms, signal) => sleep(ms, undefined, { signal, ref: false }),
};

/** The most processor time that boots took to each stage, for the limits of the next ones. */
export type BootExperience = { firstWords: number | undefined; agent: number | undefined };

export const noExperience = (): BootExperience => ({ firstWords: undefined, agent: undefined });

/** Recognises a boot that will never end, from the guest's output and the VMM's processor time. */
export class BootWatch {
  /** Settles once with what was seen; never if the guest agent answers. */
  readonly hung: Promise<string>;
  readonly #hung = Promise.withResolvers<string>();
  readonly #options: BootWatchOptions;
  readonly #experience: BootExperience;
  readonly #time: Time;
  #text = '';
  #stage: keyof BootExperience = 'firstWords';

  constructor(options: BootWatchOptions, experience: BootExperience) {
    this.hung = this.#hung.promise;
    this.#options = options;
    this.#experience = experience;
    this.#time = options.time ?? realTime;
  }

  /** Call when the guest's processors run. The time until then, with a cold disk for example, says nothing about the guest. */
  begin(): void {
    void this.#look().catch(() => undefined);
  }

  /** Takes output of the guest. */
  readonly onOutput = (chunk: Uint8Array): void => {
    if (this.#options.over.aborted) return;
    if (this.#stage === 'firstWords') {
      this.#stage = 'agent';
      void this.#learn('firstWords');
    }
    this.#text = (this.#text + Buffer.from(chunk).toString('latin1')).slice(-KEPT_TEXT - chunk.length);
    const said = NO_TIMER.exec(this.#text)?.[0];
    this.#text = said === undefined ? this.#text.slice(-KEPT_TEXT) : '';
    if (said !== undefined) void this.#giveUpAfter(this.#options.vcpuCount === 1 ? NO_TIMER_GRACE_MS.one : NO_TIMER_GRACE_MS.more, said);
  };

  async #giveUpAfter(graceMs: number, said: string): Promise<void> {
    await this.#time.wait(graceMs, this.#options.over).catch(() => undefined);
    this.#settle(`its kernel said "${said}"`);
  }

  #settle(reason: string): void {
    if (!this.#options.over.aborted) this.#hung.resolve(reason);
  }

  async #look(): Promise<void> {
    const { over, activity, isPaused } = this.#options;
    let idleSince: number | undefined;
    let before: (Activity & { at: number }) | undefined;
    while (!over.aborted) {
      await this.#time.wait(LOOK_EVERY_MS, over);
      const present = isPaused() ? undefined : await activity();
      if (present === undefined) {
        before = idleSince = undefined;
        continue;
      }
      const at = this.#time.now();
      if (before !== undefined) {
        const share = (present.cpuMs + present.waitedMs - before.cpuMs - before.waitedMs) / (at - before.at);
        idleSince = share >= IDLE_SHARE ? undefined : (idleSince ?? before.at);
      }
      before = { ...present, at };
      if (idleSince !== undefined && at - idleSince >= IDLE_MS) this.#settle(`it did nothing for ${IDLE_MS / 1000} seconds`);
      const limitMs = cpuLimitMs(this.#experience, this.#stage);
      if (present.cpuMs > limitMs) this.#settle(`it computed for ${Math.round(limitMs / 1000)} seconds and ${CAME_TO[this.#stage]}`);
    }
  }

  /** Call when the guest agent has answered. */
  async learn(): Promise<void> {
    // A kernel that prints nothing shows how long others like it may be silent.
    await Promise.all([this.#stage === 'firstWords' ? this.#learn('firstWords') : undefined, this.#learn('agent')]);
  }

  async #learn(stage: keyof BootExperience): Promise<void> {
    const { cpuMs } = (await this.#options.activity()) ?? { cpuMs: 0 };
    this.#experience[stage] = Math.max(this.#experience[stage] ?? 0, cpuMs);
  }
}

const CAME_TO = { firstWords: 'said nothing', agent: 'came to nothing' };

/** @returns how long a boot may compute until a stage. Once a boot has shown how fast this host is, the limit follows it. */
export function cpuLimitMs(experience: BootExperience, stage: keyof BootExperience): number {
  const { most, least } = STAGES[stage];
  const known = experience[stage];
  return known === undefined ? most : Math.min(STAGES.agent.most, Math.max(least, CPU_FACTOR * known));
}
