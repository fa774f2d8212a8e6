// Every single thing that a verb does is made to fail, or meets a full disk.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createSteps } from '../../src/lifecycle/vm/create.ts';
import { BangerError } from '../../src/model/errors.ts';
import type { EffectHook } from '../support/daemon/effects.ts';
import { done } from '../support/daemon/test-daemon.ts';
import { cases, type Outcome, type Point, VERB_NAMES, VerbRuns, VERBS } from './verb-runs.ts';

after(() => console.log(`${cases.size} different cases of a failure`));

const fail: EffectHook = () => {
  throw new BangerError('STORAGE_FAILED', 'made to fail');
};

/** What the user may do after a failure that could not be undone: take apart what is in error, start and stop what is not. */
async function mend(runs: VerbRuns): Promise<void> {
  const { api } = runs.daemon;
  const vms = await api.listVms();
  for (const { id, name, state } of vms) if (name !== 'web' && state === 'deleting') await done(api, api.beginVm(id, 'delete'));
  const web = vms.find(({ name }) => name === 'web');
  // One that was left alone is adopted by it.
  if (web?.state === 'running' && web.lastError !== null) return void (await done(api, api.beginVm('web', 'start')));
  if (web === undefined || web.state === 'running') return;
  if (web.state === 'suspended' || web.state === 'paused') {
    await done(api, api.beginVm('web', 'start'));
    return void (await done(api, api.beginVm('web', web.state === 'paused' ? 'pause' : 'suspend')));
  }
  // What may be in its memory is not given up.
  if (web.state === 'error' && /^(pause|suspend|resume)/.test(runs.verb)) return void (await done(api, api.beginVm('web', 'start')));
  if (web.state === 'deleting') return void (await done(api, api.beginVm('web', 'delete')));
  if (web.state !== 'stopped') await done(api, api.beginVm('web', 'kill'));
  await done(api, api.beginVm('web', 'start'));
  await done(api, api.beginVm('web', 'stop'));
}

for (const verb of VERB_NAMES) {
  const isCreation = VERBS[verb].from === 'gone';
  test(`whatever fails in ${verb} is told; nothing is lost, and nothing left when the user or the next daemon goes on (3.3, 3.5, 9.5)`, async (t) => {
    const runs = await VerbRuns.of(t, verb);
    let unnoticed = 0;
    for (const point of await runs.points()) {
      // What the database says it did not do, it did not do.
      const phases = isRecord(point) ? (['before'] as const) : (['before', 'after'] as const);
      for (const phase of phases) {
        const what = runs.case(point, `fails ${phase === 'before' ? 'at once' : 'late'}`);
        await runs.prepare(what);
        const outcome = await runs.disturb(point, phase, fail);
        if (outcome?.state === 'done') {
          unnoticed++;
          assert.match(point.effect, UNNOTICED, what);
        } else assert.match(JSON.stringify(outcome?.error), /made to fail/, what);
        if (isCreation && outcome?.state !== 'done') assertRolledBack(outcome, isRecord(point), what);
        else if (phase === 'before') await mend(runs);
        else await runs.succeed();
        await runs.check(what);
      }
    }
    t.diagnostic(`${unnoticed} failures went unnoticed`);
  });
}

const isRecord = ({ effect }: Point): boolean => /^(vms|operations)\./.test(effect);

/** The tale of an operation is told as well as it can be; the watch of ports runs beside, and tries again. */
const UNNOTICED = /^(operations\.(appendEvent|end)|machine\.openAgentChannel|network\.setForwards)$/;

/** The steps of a creation that had begun are undone, in reverse. @param hasGaps whether a line of the tale may be missing */
function assertRolledBack(outcome: Outcome | undefined, hasGaps: boolean, what: string): void {
  const undoable = createSteps({ start: true, waitForServices: true }).flatMap((step) => (step.undo === undefined ? [] : step.name));
  const stages = (status: string): string[] =>
    (outcome?.events ?? []).flatMap((event) => (event.type === 'stage' && event.status === status ? event.stage : []));
  const undone = stages('undone');
  const inOrder = undoable.toReversed().filter((stage) => undone.includes(stage));
  assert.deepEqual(undone, inOrder, what);
  if (hasGaps) return;
  for (const stage of stages('started')) assert.equal(undone.includes(stage), undoable.includes(stage), `${what}: ${stage}`);
}

const isFileWrite = (effect: string): boolean =>
  /^(host\.(make|write|sparse|extend|reflink)|(root|work)\.(create|grow|attach|extend))/.test(effect);
const isDatabaseWrite = (effect: string): boolean => /^(vms\.(insert|update|remove)|operations\.(insert|appendEvent|end))$/.test(effect);

/** What a file system or SQLite says when it is full, from now on until the hook is replaced. */
function fillUp(runs: VerbRuns, isWrite: (effect: string) => boolean): void {
  runs.daemon.effects.hook = ({ name }, phase) => {
    if (phase !== 'before' || !isWrite(name)) return;
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  };
  throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
}

for (const verb of VERB_NAMES) {
  const isCreation = VERBS[verb].from === 'gone';
  test(`a disk that is full from anywhere in ${verb} on is told, and loses nothing (9.5)`, async (t) => {
    const runs = await VerbRuns.of(t, verb);
    for (const point of await runs.points()) {
      if (!isFileWrite(point.effect) && !isDatabaseWrite(point.effect)) continue;
      const what = runs.case(point, 'disk full');
      await runs.prepare(what);
      // The database has room of its own (store/database.ts); files have none.
      const isFull = isFileWrite(point.effect) ? isFileWrite : isDatabaseWrite;
      const outcome = await runs.disturb(point, 'before', () => fillUp(runs, isFull));
      if (outcome?.state !== 'done') assert.match(JSON.stringify(outcome?.error), /no space left|disk is full/, what);
      if (isFull === isDatabaseWrite) await runs.succeed();
      else if (isCreation) assertRolledBack(outcome, false, what);
      await runs.check(what);
    }
  });
}
