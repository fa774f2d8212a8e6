// The random walk in one process: the real daemon over fakes, with a nemesis at the daemon's effects.
import type { Operation, VmView } from '../../src/api/schemas.ts';
import { sweepNetworks } from '../../src/capabilities/sweep-networks.ts';
import type { BangerError } from '../../src/model/errors.ts';
import { jumpClock } from '../support/machine/clock.ts';
import type { EffectHook } from '../support/daemon/effects.ts';
import { assertMarked, assertSound, mark } from '../support/daemon/soundness.ts';
import { done, ended, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/daemon/test-world.ts';
import { type Answer, assertExplained } from './model.ts';
import { type Burst, burstsOf, describeBurst, type Misfortune, type Move } from './plan.ts';

export type WalkOptions = {
  seed: number;
  vmCount: number;
  /** The walk ends after this many verbs. */
  verbCount: number;
  /** It may end earlier after this much time, but not before this many verbs: a slow machine takes longer. */
  timeLimitMs: number;
  leastVerbCount: number;
};

/** How many bursts are shown when an invariant does not hold. */
const SHOWN_BURSTS = 12;

/** Walks until the count or the time is reached. @returns how far it came @throws with the shortest beginning that fails */
export async function walk({
  seed,
  vmCount,
  verbCount,
  timeLimitMs,
  leastVerbCount,
}: WalkOptions): Promise<{ verbs: number; bursts: number }> {
  // Every other seed walks on a machine without the root helper.
  const walker = await Walker.start({ isPlain: seed % 2 === 1 });
  const deadline = performance.now() + timeLimitMs;
  const history: string[] = [];
  let verbs = 0;
  try {
    for (const burst of burstsOf(seed, vmCount, 4)) {
      if (verbs >= verbCount || (verbs >= leastVerbCount && performance.now() > deadline)) break;
      history.push(describeBurst(burst));
      verbs += burst.moves.length;
      await walker.step(burst, history.at(-1) ?? '');
    }
    await walker.leaveNothing();
    return { verbs, bursts: history.length };
  } catch (error) {
    const last = history
      .slice(-SHOWN_BURSTS)
      .map((line, at) => `${history.length - Math.min(SHOWN_BURSTS, history.length) + at + 1}. ${line}`);
    throw new Error(`SEED=${seed} fails after ${verbs} verbs in ${history.length} bursts; the last:\n${last.join('\n')}`, { cause: error });
  } finally {
    await walker.close();
  }
}

class Walker {
  readonly #world: TestWorld;
  #daemon: TestDaemon;
  #vms: VmView[] = [];

  private constructor(world: TestWorld, daemon: TestDaemon) {
    this.#world = world;
    this.#daemon = daemon;
  }

  static async start(options: { isPlain: boolean }): Promise<Walker> {
    const world = createTestWorld(options);
    return new Walker(world, await startDaemon(world));
  }

  /** One burst with its misfortune, then quiet, then a look at everything. */
  async step(burst: Burst, what: string): Promise<void> {
    await this.#freshen(burst.misfortune);
    const { effects } = this.#daemon;
    let count = 0;
    let isFull = false;
    effects.hook = ({ name }, phase) => {
      if (isFull && FILE_WRITE.test(name)) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      if (phase !== 'before' || !('at' in burst.misfortune) || ++count !== burst.misfortune.at) return undefined;
      if (burst.misfortune.kind === 'disk full') isFull = true;
      return this.#strike(burst.misfortune);
    };
    const answers = await Promise.all(burst.moves.map((move) => this.#answer(move)));
    if (!effects.dead) effects.hook = () => undefined;
    const { misfortune } = burst;
    if (effects.dead) await this.#succeed(misfortune.kind === 'kill daemon' ? misfortune.again : 0);
    this.#world.isBundleAway = false;
    this.#world.machines.heal('*', 'refuse-adoption');
    await this.#quiesce();
    const vms = await assertSound(this.#daemon, what);
    assertExplained(this.#vms, vms, burst, answers);
    for (const vm of vms) {
      if (this.#vms.some(({ id }) => id === vm.id)) assertMarked(this.#world, vm, what);
      else mark(this.#world, vm);
    }
    this.#vms = vms;
  }

  /** What was there before the last daemon ended need not be there for the next. */
  async #freshen({ kind }: Misfortune): Promise<void> {
    if (kind !== 'fresh daemon' && kind !== 'bundle away' && kind !== 'drivers away') return;
    await this.#daemon.stop();
    this.#world.isBundleAway = kind === 'bundle away';
    if (kind === 'drivers away') this.#world.machines.inject('*', 'refuse-adoption');
    this.#daemon = await startDaemon(this.#world);
  }

  #strike(misfortune: Misfortune): ReturnType<EffectHook> {
    if (misfortune.kind === 'kill daemon') return 'die';
    if (misfortune.kind === 'clock jump') jumpClock(misfortune.hours * 3_600_000);
    if (misfortune.kind === 'kill VMM' || misfortune.kind === 'stop VMM') {
      const machine = [...this.#world.machines.machines.values()].find(({ spec }) => spec.vmName === misfortune.name);
      if (machine !== undefined) this.#world.host.signalProcess(machine.process, misfortune.kind === 'kill VMM' ? 'SIGKILL' : 'SIGSTOP');
    }
    return undefined;
  }

  async #answer(move: Move): Promise<Answer> {
    const { api, effects } = this.#daemon;
    const begin = async (): Promise<string> => (await ended(api, await beginMove(api, move))).state;
    const end = begin().catch((error: unknown) => (effects.dead ? 'lost' : (error as BangerError).code));
    return { ...move, end: await Promise.race([end, effects.died.then(() => 'lost')]) };
  }

  /** The daemon is gone; the next ones may die as well, while they recover. */
  async #succeed(again: number): Promise<void> {
    for (let death = 0; death < again; death++) {
      await this.#daemon.kill();
      let left = 3 + 4 * death;
      this.#daemon = await startDaemon(this.#world, { hook: (_effect, phase) => (phase === 'before' && left-- === 0 ? 'die' : undefined) });
      this.#daemon.effects.hook = () => undefined;
      if (!this.#daemon.effects.dead) return;
    }
    await this.#daemon.kill();
    this.#daemon = await startDaemon(this.#world);
  }

  /** What was stopped goes on, what was left alone is adopted, what could not be undone is taken apart as its error says, and all that is under way ends. */
  async #quiesce(): Promise<void> {
    const { services, api } = this.#daemon;
    for (const { process } of this.#world.machines.machines.values()) this.#world.host.signalProcess(process, 'SIGCONT');
    const never = new AbortController().signal;
    // As the daemon does by itself, some time after the bundle is back: it looks for it, and then sweeps.
    await services.vms.drivers.refreshNetworks(null);
    await sweepNetworks(services);
    for (const { id } of services.vms.records.list()) await services.vms.locks.hold(id, never, () => Promise.resolve());
    for (const { name, state, lastError } of await api.listVms()) {
      // One that was left alone is adopted by what asks for the state that it is in.
      if (state === 'running' && lastError !== null) await done(api, api.beginVm(name, 'start'));
      if (state === 'paused' && lastError !== null) await done(api, api.beginVm(name, 'pause'));
      if (state === 'error') await done(api, api.beginVm(name, 'kill'));
      if (state === 'deleting') await done(api, api.beginVm(name, 'delete'));
    }
  }

  async leaveNothing(): Promise<void> {
    const { api } = this.#daemon;
    for (const { name } of await api.listVms()) await done(api, api.beginVm(name, 'delete'));
    const remains = this.#world.remains();
    if (remains.length > 0) throw new Error(`left behind: ${remains.join(', ')}`);
  }

  async close(): Promise<void> {
    await this.#daemon.stop();
    this.#world.remove();
  }
}

function beginMove(api: TestDaemon['api'], { verb, name, of = name }: Move): Promise<Operation> {
  if (verb === 'fork') return api.beginVm(of, verb, { names: [name] });
  if (verb === 'create') return api.createVm({ name }, false);
  if (verb === 'discard') return api.beginVm(name, 'start', { discardMemory: true });
  return api.beginVm(name, verb, verb === 'stop' || verb === 'restart' ? { graceMs: 20 } : undefined);
}

const FILE_WRITE = /^(host\.(make|write|sparse|extend|reflink)|(root|work)\.(create|grow|attach|extend))/;
