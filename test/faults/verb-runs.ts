// One verb with one fault at one effect, again and again: what the verbs are, where they begin, and where they may end.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Operation, OperationEvent, VmView } from '../../src/api/schemas.ts';
import { toErrorBody } from '../../src/model/errors.ts';
import type { Effect, EffectHook } from '../support/daemon/effects.ts';
import { assertMarked, assertMarkedAs, assertSound, bootOf, mark } from '../support/daemon/soundness.ts';
import { created, done, ended, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { createTestWorld, type TestWorld } from '../support/daemon/test-world.ts';

type End = 'running' | 'paused' | 'stopped' | 'suspended' | 'gone';
type VerbUnderTest = {
  begin: (api: TestDaemon['api']) => Promise<Operation>;
  /** How the VM is before it. */
  from: End;
  /** How it is when the verb is done. */
  to: End;
  /** How it is in between. */
  over?: End;
  /** What the guest has in memory is given up. */
  losesMemory?: true;
};

/** Disks grow with each call, and the way to the outside opens and closes. */
let changes = 0;
const newSizes = () => ({ workDiskBytes: (10_000 + changes) * MIB, rootOverlayBytes: (10_000 + changes++) * MIB });
const MIB = 1024 ** 2;
const toggleNat = async (api: TestDaemon['api']) => api.beginVm('web', 'set', { nat: !(await api.showVm('web')).spec.nat });

/** The VMs that a fork makes: both or none, unless the daemon dies between their last steps. */
const COPIES = ['copy-1', 'copy-2'] as const;
const isCopy = ({ name }: { name: string }): boolean => COPIES.some((copy) => copy === name);

/** Each verb by the route that begins it. */
export const VERBS = {
  create: { begin: (api) => api.createVm({ name: 'web' }, false), from: 'gone', to: 'running' },
  'create --no-start': { begin: (api) => api.createVm({ name: 'web', start: false }, false), from: 'gone', to: 'stopped' },
  start: { begin: (api) => api.beginVm('web', 'start'), from: 'stopped', to: 'running' },
  stop: { begin: (api) => api.beginVm('web', 'stop'), from: 'running', to: 'stopped' },
  restart: { begin: (api) => api.beginVm('web', 'restart'), from: 'running', to: 'running', over: 'stopped' },
  kill: { begin: (api) => api.beginVm('web', 'kill'), from: 'running', to: 'stopped' },
  pause: { begin: (api) => api.beginVm('web', 'pause'), from: 'running', to: 'paused' },
  'resume a paused VM': { begin: (api) => api.beginVm('web', 'resume'), from: 'paused', to: 'running' },
  suspend: { begin: (api) => api.beginVm('web', 'suspend'), from: 'running', to: 'suspended' },
  'suspend a paused VM': { begin: (api) => api.beginVm('web', 'suspend'), from: 'paused', to: 'suspended', over: 'running' },
  resume: { begin: (api) => api.beginVm('web', 'resume'), from: 'suspended', to: 'running' },
  'start --discard-memory': {
    begin: (api) => api.beginVm('web', 'start', { discardMemory: true }),
    from: 'suspended',
    to: 'running',
    over: 'stopped',
    losesMemory: true,
  },
  fork: { begin: (api) => api.beginVm('web', 'fork', { names: [...COPIES] }), from: 'running', to: 'running' },
  delete: { begin: (api) => api.beginVm('web', 'delete'), from: 'running', to: 'gone' },
  'set on a stopped VM': { begin: (api) => api.beginVm('web', 'set', newSizes()), from: 'stopped', to: 'stopped' },
  'set on a running VM': { begin: toggleNat, from: 'running', to: 'running' },
} satisfies Record<string, VerbUnderTest>;
export type VerbName = keyof typeof VERBS;
export const VERB_NAMES = Object.keys(VERBS) as VerbName[];

/** An effect of a verb and the step that it belongs to, both as the verb itself told them. */
export type Point = { n: number; step: string; effect: string };

/** How a verb ended: as its operation, or refused before it had one. */
export type Outcome = { state: Operation['state'] | 'refused'; error: Operation['error']; events: OperationEvent[] };

/** How many different cases of verb, step, effect and fault have run in this process. */
export const cases = new Set<string>();

/**
 * A world with a VM `keeper` that nobody touches and a VM `web` on which one verb is run over and over. The daemon is replaced
 * when it died; both VMs carry marks on their disks.
 */
export class VerbRuns {
  readonly verb: VerbName;
  readonly world: TestWorld;
  daemon: TestDaemon;
  #keeper: VmView;
  /** Since the last check. */
  #hasDied = false;
  /** Of the guest in `web` when it was prepared. */
  #boot: string | undefined;

  private constructor(verb: VerbName, world: TestWorld, daemon: TestDaemon, keeper: VmView) {
    [this.verb, this.world, this.daemon, this.#keeper] = [verb, world, daemon, keeper];
  }

  static async of(t: TestContext, verb: VerbName): Promise<VerbRuns> {
    const world = createTestWorld();
    const daemon = await startDaemon(world, QUIET);
    const keeper = await created(daemon.api, 'keeper');
    mark(world, keeper);
    const runs = new VerbRuns(verb, world, daemon, keeper);
    t.after(async () => {
      await runs.daemon.stop();
      world.remove();
    });
    return runs;
  }

  /** Runs the verb undisturbed. @returns its effects, from the first after its operation was written down to its end */
  async points(): Promise<Point[]> {
    await this.prepare('probe');
    const before = this.daemon.effects.seen.length;
    await done(this.daemon.api, VERBS[this.verb].begin(this.daemon.api));
    const points: Point[] = [];
    const tracker = this.#tracker((point) => void points.push(point));
    for (const effect of this.daemon.effects.seen.slice(before)) tracker(effect, 'before');
    const steps = new Set(points.map(({ step }) => step));
    assert.ok(points.length > 3 && steps.size > 0, `${this.verb} has only ${points.length} effects in ${[...steps].join(', ')}`);
    return points;
  }

  /** Brings `web` to where the verb begins; what was written to its disks is still there. */
  async prepare(what: string): Promise<void> {
    const { api } = this.daemon;
    const { from } = VERBS[this.verb];
    for (const { id } of (await api.listVms()).filter(isCopy)) await done(api, api.beginVm(id, 'delete'));
    const find = async () => (await api.listVms()).find(({ name }) => name === 'web');
    let web = await find();
    if (web !== undefined) {
      await done(api, api.beginVm('web', 'start'));
      if (from !== 'gone') assertMarked(this.world, web, what);
    }
    if (from === 'gone') {
      if (web !== undefined) await done(api, api.beginVm('web', 'delete'));
      return;
    }
    web ??= await created(api, 'web');
    mark(this.world, web);
    if (from === 'stopped') await done(api, api.beginVm('web', 'stop'));
    if (from === 'paused') await done(api, api.beginVm('web', 'pause'));
    if (from === 'suspended') await done(api, api.beginVm('web', 'suspend'));
    this.#boot = bootOf(this.world, await api.showVm('web'));
  }

  /**
   * Begins the verb and does `act` at its n-th effect.
   * @returns undefined when the daemon died
   */
  async disturb({ n }: Point, phase: 'before' | 'after', act: EffectHook): Promise<Outcome | undefined> {
    const { effects, api } = this.daemon;
    let target = 0;
    const tracker = this.#tracker((point, effect) => {
      if (point.n === n) target = effect.number;
    });
    effects.hook = (effect, now) => {
      tracker(effect, now);
      if (effect.number !== target || now !== phase) return undefined;
      if (phase === 'after') target = 0;
      return act(effect, now);
    };
    const verb = VERBS[this.verb].begin(api).then(
      (operation) => ended(api, operation),
      (error: unknown): Outcome => ({ state: 'refused', error: toErrorBody(error), events: [] }),
    );
    // Nobody answers any more when the daemon died.
    verb.catch(() => undefined);
    const outcome = await Promise.race([effects.died, verb]);
    if (!effects.dead) effects.hook = () => undefined;
    return outcome ?? undefined;
  }

  /** Lets the daemon die, if it has not, and the next one put things in order. @param hook disturbs the next one */
  async succeed(hook?: EffectHook): Promise<void> {
    await this.daemon.kill();
    this.#hasDied = true;
    this.daemon = await startDaemon(this.world, hook === undefined ? QUIET : { ...QUIET, hook });
  }

  /** Nothing lost, nothing leaked. @param also an end that is right besides where the verb begins and ends. @returns how `web` is now */
  async check(what: string, also?: End): Promise<End> {
    const vms = await assertSound(this.daemon, what);
    const keeper = vms.find(({ name }) => name === 'keeper');
    assert.deepEqual([keeper?.state, keeper?.pid], ['running', this.#keeper.pid], what);
    assertMarked(this.world, this.#keeper, what);
    const web = vms.find(({ name }) => name === 'web');
    const end = web === undefined ? 'gone' : (web.state as End);
    const { from, to, over, losesMemory }: VerbUnderTest = VERBS[this.verb];
    assert.ok([from, to, over, also].includes(end), `${what}: ${end}`);
    if (web !== undefined && from !== 'gone') assertMarked(this.world, web, what);
    const copies = vms.filter(isCopy);
    if (copies.length > 0 && !this.#hasDied) assert.equal(copies.length, COPIES.length, `${what}: half of a fork`);
    this.#hasDied = false;
    for (const copy of copies) assertMarkedAs(this.world, copy, web ?? copy, what);
    const keepsMemory = [from, to].some((one) => one === 'suspended' || one === 'paused') && losesMemory !== true;
    const isMemoryKept = end === 'suspended' || (keepsMemory && end !== also);
    if (web !== undefined && isMemoryKept) assert.equal(bootOf(this.world, web), this.#boot, `${what}: its memory is lost`);
    return end;
  }

  /** What an operation said it did is so. */
  async checkAcknowledged(end: End, what: string): Promise<void> {
    const last = (await this.daemon.api.listOperations()).find(({ vmName }) => vmName === 'web');
    if (last?.verb !== `vm.${this.verb.split(' ')[0]}`) return;
    if (last.state === 'done') assert.equal(end, VERBS[this.verb].to, what);
    else assert.equal(last.error?.code, 'INTERRUPTED', what);
  }

  /** Names a case for messages, and counts it. */
  case(point: Point, fault: string): string {
    const name = `${this.verb} / ${point.step} / ${point.effect} / ${fault}`;
    cases.add(name);
    return `${name} (effect ${point.n})`;
  }

  /** Numbers the effects of one run of the verb; the steps are told by what it writes to the operation log. */
  #tracker(onPoint: (point: Point, effect: Effect) => void): EffectHook {
    let step = '';
    let n = 0;
    let isOver = false;
    return (effect, phase) => {
      if (phase !== 'before' || isOver) return;
      if (effect.name === 'operations.insert') step = 'begin';
      if (step === '' || READS_OF_WATCHERS.test(effect.name)) return;
      if (effect.name === 'operations.appendEvent') {
        const event = effect.args[1] as OperationEvent;
        if (event.type === 'stage') step = event.stage;
      }
      if (effect.name === 'operations.end') [step, isOver] = ['end', true];
      onPoint({ n: ++n, step, effect: effect.name }, effect);
    };
  }
}

/** Looks at the clocks of guests would come between the effects of a verb, at other places in each run. */
const QUIET = { clockTimer: () => () => undefined };

/** Whoever follows an operation reads the log beside it. */
const READS_OF_WATCHERS = /^operations\.(find|list|running|events)$/;
