// What a random walk does: bursts of verbs and one misfortune each, all of it from one seed.

export type WalkVerb = 'create' | 'fork' | 'start' | 'stop' | 'restart' | 'kill' | 'delete' | 'pause' | 'suspend' | 'resume' | 'discard';
/** Creations are more frequent: of few VMs most are to be there. `discard` starts a suspended VM without its memory, and others as usual. */
const WALK_VERBS: readonly WalkVerb[] = [
  'create',
  'create',
  'create',
  'fork',
  'fork',
  'start',
  'start',
  'stop',
  'restart',
  'kill',
  'delete',
  'pause',
  'suspend',
  'suspend',
  'resume',
  'discard',
];
/** A verb on the VM of this name. `of`: the VM that a fork is made of. */
export type Move = { verb: WalkVerb; name: string; of?: string };

/**
 * What else happens: `at` counts the daemon's effects from the begin of the burst on, `name` is the VM that is meant. Without `at` it
 * has happened before the burst, whose verbs are then the first acts of a fresh daemon, and what was away is back after it.
 */
export type Misfortune =
  | { kind: 'none' }
  | { kind: 'kill daemon'; at: number; again: number }
  | { kind: 'kill VMM' | 'stop VMM'; at: number; name: string }
  | { kind: 'disk full'; at: number }
  | { kind: 'clock jump'; at: number; hours: number }
  | { kind: 'fresh daemon' | 'bundle away' | 'drivers away' }
  | { kind: 'guest disk full'; name: string };

/** Verbs that are begun at the same time. */
export type Burst = { moves: Move[]; misfortune: Misfortune };

/** @returns numbers in [0, 1) that depend on the seed alone (mulberry32) */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @returns the endless walk of a seed over VMs `vm0`, `vm1`, … */
export function* burstsOf(seed: number, vmCount: number, mostAtOnce: number): Generator<Burst, never> {
  const random = randomFrom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const name = (): string => `vm${below(vmCount)}`;
  const move = (): Move => {
    const verb = WALK_VERBS[below(WALK_VERBS.length)] ?? 'create';
    return { verb, name: name(), ...(verb === 'fork' && { of: name() }) };
  };
  for (;;) {
    const moves = Array.from({ length: 1 + below(mostAtOnce) }, move);
    yield { moves, misfortune: misfortuneOf(below, name) };
  }
}

function misfortuneOf(below: (limit: number) => number, name: () => string): Misfortune {
  const at = 1 + below(60);
  switch (below(15)) {
    case 0:
    case 1:
      return { kind: 'kill daemon', at, again: below(3) };
    case 2:
      return { kind: 'kill VMM', at, name: name() };
    case 3:
      return { kind: 'stop VMM', at, name: name() };
    case 4:
      return { kind: 'disk full', at };
    case 5:
      return { kind: 'clock jump', at, hours: [-1, 1, -87_600, 87_600][below(4)] ?? 1 };
    case 6:
      return { kind: 'fresh daemon' };
    case 7:
      return { kind: 'bundle away' };
    case 8:
      return { kind: 'drivers away' };
    case 9:
      return { kind: 'guest disk full', name: name() };
    default:
      return { kind: 'none' };
  }
}

/** One line for people. */
export function describeBurst({ moves, misfortune }: Burst): string {
  const { kind, ...facts } = misfortune;
  const what = kind === 'none' ? '' : `; ${kind} ${JSON.stringify(facts)}`;
  return moves.map(({ verb, name, of }) => [verb, ...(of === undefined ? [] : [of]), name].join(' ')).join(', ') + what;
}
