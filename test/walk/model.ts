// What must be so after a burst, whatever was done at the same time and whatever went wrong in between.
import assert from 'node:assert/strict';
import type { VmView } from '../../src/api/schemas.ts';
import type { Burst, Move, WalkVerb } from './plan.ts';

/** How a verb ended: as its operation did, refused with a code, or `lost` when nobody answered any more. */
export type Answer = Move & { end: string };

const TARGET: Partial<Record<WalkVerb, string>> = {
  start: 'running',
  stop: 'stopped',
  restart: 'running',
  kill: 'stopped',
  pause: 'paused',
  suspend: 'suspended',
  resume: 'running',
  discard: 'running',
};

/**
 * Compares the VMs before and after a burst with what was answered; both lists are of moments in which nothing was under way.
 * @throws AssertionError when something acknowledged is not so, or something changed that nobody touched
 */
export function assertExplained(before: readonly VmView[], after: readonly VmView[], burst: Burst, answers: readonly Answer[]): void {
  const names = new Set([...before, ...after].map(({ name }) => name));
  for (const { name } of burst.moves) names.add(name);
  for (const name of names) {
    const [old, now] = [before, after].map((vms) => vms.find((vm) => vm.name === name));
    const mine = answers.filter((answer) => answer.name === name);
    const what = `${name}: ${old?.state ?? 'none'} → ${now?.state ?? 'none'} after ${JSON.stringify(mine)}`;
    assertExistence(old, now, mine, what);
    if (mine.length === 0) assertUntouched(old, now, burst, what);
    if (burst.misfortune.kind !== 'none' || mine.length !== 1) continue;
    const of = mine[0]?.of;
    if (of === undefined) assertDone(old, now, mine[0], what);
    else if (answers.every((answer) => answer.name !== of || answer === mine[0]))
      assertForked(
        old,
        before.find((vm) => vm.name === of),
        mine[0],
        what,
      );
  }
  assertUnique(after);
}

/** VMs come by create and fork and go by delete, and by nothing else. */
function assertExistence(old: VmView | undefined, now: VmView | undefined, mine: readonly Answer[], what: string): void {
  const had = (verb: WalkVerb, ...ends: string[]): boolean => mine.some((answer) => answer.verb === verb && ends.includes(answer.end));
  const came = (...ends: string[]): boolean => had('create', ...ends) || had('fork', ...ends);
  const mayBeDeleted = had('delete', 'done', 'failed', 'cancelled', 'lost');
  const mayBeCreated = came('done', 'failed', 'cancelled', 'lost');
  if (old !== undefined && !mayBeDeleted) assert.equal(now?.id, old.id, `${what}: lost`);
  if (old === undefined && !mayBeCreated) assert.equal(now, undefined, `${what}: came from nowhere`);
  if (came('done') && !mayBeDeleted) assert.ok(now !== undefined, `${what}: an acknowledged creation was lost`);
  if (had('delete', 'done') && !mayBeCreated) assert.equal(now, undefined, `${what}: deleted, and there`);
  if (old === undefined && !came('done', 'lost')) assert.equal(now, undefined, `${what}: a failed creation left something`);
}

/** Other VMs do not notice what is done to one, except for those that something happened to. */
function assertUntouched(old: VmView | undefined, now: VmView | undefined, { misfortune }: Burst, what: string): void {
  if ('name' in misfortune && misfortune.name === old?.name) return;
  assert.deepEqual([now?.id, now?.state, now?.pid], [old?.id, old?.state, old?.pid], `${what}: nobody touched it`);
}

/** Alone and undisturbed, a verb does what it says or is refused for a reason that is so. */
function assertDone(old: VmView | undefined, now: VmView | undefined, answer: Answer | undefined, what: string): void {
  if (answer === undefined) return;
  const { verb, end } = answer;
  if (verb === 'create') assert.equal(end, old === undefined ? 'done' : 'NAME_TAKEN', what);
  else assert.equal(end, old === undefined ? 'NOT_FOUND' : isRefused(old, verb) ? 'failed' : 'done', what);
  if (end === 'done' && old !== undefined && TARGET[verb] !== undefined) assert.equal(now?.state, TARGET[verb], what);
}

/** A fork alone, of a VM that nothing else is done to. */
function assertForked(old: VmView | undefined, source: VmView | undefined, answer: Answer | undefined, what: string): void {
  const state = source?.state === 'running' ? ['done'] : ['WRONG_STATE', 'failed'];
  const expected = source === undefined ? ['NOT_FOUND'] : old === undefined ? state : ['NAME_TAKEN'];
  assert.ok(expected.includes(answer?.end ?? ''), what);
}

/** Nothing stopped is paused, suspended or resumed, and what is suspended is not restarted, which would lose its memory. */
function isRefused({ state }: VmView, verb: WalkVerb): boolean {
  if (state === 'suspended') return verb === 'restart' || verb === 'pause';
  return state === 'stopped' && (verb === 'pause' || verb === 'suspend' || verb === 'resume');
}

/** No two VMs share what must be their own. */
function assertUnique(vms: readonly VmView[]): void {
  for (const member of ['id', 'name', 'address', 'guestAddress'] as const) {
    assert.equal(new Set(vms.map((vm) => vm[member])).size, vms.length, `two VMs share their ${member}`);
  }
}
