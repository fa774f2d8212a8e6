// Counts and numbers everything a daemon does to the world. A test can make any of these effects fail, cancel during it, or
// let the daemon die there as if by kill -9.

/** One call that changes or reads the world, such as `host.removeTree`; counted from 1 in each daemon's life. */
export type Effect = { number: number; name: string; args: readonly unknown[] };

/** What a test does at an effect. Throwing makes the effect fail; `phase` says whether it is already done. */
export type EffectHook = (effect: Effect, phase: 'before' | 'after') => void | 'die';

export type Effects = {
  /** Tests may replace it at any time. */
  hook: EffectHook;
  seen: Effect[];
  /** From now on nothing that this daemon does reaches the world, and nothing that it waits for happens. */
  die(): void;
  readonly dead: boolean;
  /** Settles when it dies. */
  readonly died: Promise<void>;
  /** Settles once each effect that was under way at the death has either happened or never will. */
  settled(): Promise<unknown>;
  /** @returns the object with its methods watched. @param sync names of methods that return no promise */
  watch<T extends object>(name: string, target: T, sync?: readonly string[]): T;
};

/** @param hook called from the first moment on; the default disturbs nothing */
export function createEffects(hook: EffectHook = () => undefined): Effects {
  let dead = false;
  const { promise: died, resolve: tellDeath } = Promise.withResolvers<void>();
  const underWay = new Set<Promise<unknown>>();
  const tell: EffectHook = (effect, phase) => {
    if (effects.hook(effect, phase) === 'die') effects.die();
  };
  const begin = (name: string, args: readonly unknown[]): Effect => {
    const effect = { number: effects.seen.length + 1, name, args };
    effects.seen.push(effect);
    tell(effect, 'before');
    return effect;
  };
  const callSync = (name: string, args: readonly unknown[], call: () => unknown): unknown => {
    if (dead) return undefined;
    const effect = begin(name, args);
    if (dead) return undefined;
    const value = call();
    tell(effect, 'after');
    return value;
  };
  const callAsync = async (name: string, args: readonly unknown[], call: () => unknown): Promise<unknown> => {
    if (dead) return never();
    const effect = begin(name, args);
    if (dead) return never();
    const work = Promise.resolve(call());
    underWay.add(work);
    const value = await work.finally(() => underWay.delete(work));
    if (dead) return never();
    tell(effect, 'after');
    return dead ? never() : value;
  };
  const effects: Effects = {
    hook,
    seen: [],
    die: () => {
      dead = true;
      tellDeath();
    },
    died,
    get dead() {
      return dead;
    },
    settled: () => Promise.allSettled(underWay),
    watch: (prefix, target, sync = []) =>
      new Proxy(target, {
        get(object, key, receiver) {
          const value: unknown = Reflect.get(object, key, receiver);
          if (typeof value !== 'function' || typeof key !== 'string') return value;
          const name = `${prefix}.${key}`;
          const act = sync.includes(key) || sync.includes('*') ? callSync : callAsync;
          return (...args: unknown[]) => act(name, args, () => Reflect.apply(value, object, args) as unknown);
        },
      }),
  };
  return effects;
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
