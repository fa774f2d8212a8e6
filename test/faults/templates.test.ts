// Every single thing that the making of a template or of a clone does fails, is cancelled, or is the last that the daemon does.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { templatesOf } from '../../src/lifecycle/template/templates.ts';
import { BangerError, toErrorBody } from '../../src/model/errors.ts';
import type { Operation } from '../../src/api/schemas.ts';
import type { EffectHook } from '../support/daemon/effects.ts';
import { assertSound } from '../support/daemon/soundness.ts';
import { created, done, ended, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { createTestWorld } from '../support/daemon/test-world.ts';

const FAULTS = ['failure', 'cancel', 'death'] as const;
type Fault = (typeof FAULTS)[number];

/** Looks at the clocks of guests would come between the effects of a verb, at other places in each run. */
const OPTIONS = { clockTimer: () => () => undefined, env: { BANGER_TEMPLATES_ENABLED: 'true', BANGER_TEMPLATES_POOL: '0' } };
/** Whoever follows an operation reads the log beside it, and a tale that cannot be written is no failure. */
const TALES = /^(operations|names)\./;

/** Daemons of one world, one after another. */
async function livesOf(t: TestContext) {
  const world = createTestWorld();
  const lives = { daemon: await startDaemon(world, OPTIONS), succeed };
  async function succeed(): Promise<void> {
    await lives.daemon.kill();
    lives.daemon = await startDaemon(world, OPTIONS);
  }
  t.after(async () => {
    await lives.daemon.stop();
    world.remove();
  });
  return lives;
}

/** Runs the work with the fault at its n-th effect. @returns what it came to, and which effect that was, if it had as many */
async function disturb(daemon: TestDaemon, work: (api: TestDaemon['api']) => Promise<Operation>, fault: Fault, n: number) {
  const { effects, services, api } = daemon;
  const hit: { effect?: string } = {};
  let count = 0;
  const hook: EffectHook = ({ name }, phase) => {
    if (phase !== 'before' || TALES.test(name) || hit.effect !== undefined || ++count !== n) return undefined;
    hit.effect = name;
    if (fault === 'death') return 'die';
    if (fault === 'failure') throw new BangerError('STORAGE_FAILED', 'made to fail');
    for (const { id, state } of services.operations.list()) if (state === 'running') services.operations.cancel(id);
    return undefined;
  };
  effects.hook = hook;
  const outcome = work(api).then((operation) => ended(api, operation));
  const refused = (error: unknown): Pick<Operation, 'state' | 'error'> => ({ state: 'failed', error: toErrorBody(error) });
  const end = await Promise.race([effects.died, outcome.catch(refused)]);
  if (!effects.dead) effects.hook = () => undefined;
  return { effect: hit.effect, end: end ?? undefined };
}

for (const fault of FAULTS) {
  test(`a template whose making meets a ${fault} is whole or was never there (9.5, 10.1)`, async (t) => {
    const lives = await livesOf(t);
    await created(lives.daemon.api, 'keeper', { cold: true });
    let cases = 0;
    for (let n = 1, isOver = false; !isOver; n++) {
      const { effect, end } = await disturb(lives.daemon, (api) => api.warmImage('default', false), fault, n);
      const what = `${n}: ${fault} at ${effect}`;
      if (fault === 'death' && effect !== undefined) await lives.succeed();
      const { services, api } = lives.daemon;
      await assertSound(lives.daemon, what);
      if (end?.state === 'done') assert.equal(templatesOf(services).length, 1, what);
      else assert.ok(templatesOf(services).length <= (fault === 'failure' ? 0 : 1), what);
      for (const { id } of templatesOf(services)) await done(api, api.deleteTemplate(id));
      isOver = effect === undefined;
      cases++;
    }
    assert.ok(cases > 30, `only ${cases} cases`);
  });

  test(`a clone whose making meets a ${fault} boots, or was never there, and nothing is lost (9.5, 10.1)`, async (t) => {
    const lives = await livesOf(t);
    let cases = 0;
    for (let n = 1, isOver = false; !isOver; n++) {
      await done(lives.daemon.api, lives.daemon.api.warmImage('default', false));
      const { effect, end } = await disturb(lives.daemon, (api) => api.createVm({ name: 'web' }, false), fault, n);
      const what = `${n}: ${fault} at ${effect}: ${JSON.stringify(end?.error)}`;
      if (fault === 'death' && effect !== undefined) await lives.succeed();
      await lives.daemon.services.background.settled();
      const [web] = await assertSound(lives.daemon, what);
      if (end?.state === 'done') assert.equal(web?.state, 'running', what);
      else if (fault !== 'death') assert.equal(web, undefined, what);
      if (web !== undefined) await done(lives.daemon.api, lives.daemon.api.beginVm('web', 'delete'));
      isOver = effect === undefined;
      cases++;
    }
    assert.ok(cases > 30, `only ${cases} cases`);
  });
}
