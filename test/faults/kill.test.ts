// The daemon dies as by kill -9 at every single thing that a verb does, and while the next one recovers; another puts the
// world in order.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { Effect } from '../support/daemon/effects.ts';
import { cases, VERB_NAMES, VerbRuns, VERBS } from './verb-runs.ts';

after(() => console.log(`${cases.size} different cases of a killed daemon`));

for (const verb of VERB_NAMES) {
  const { from, to } = VERBS[verb];
  test(`a daemon killed before or after anything in ${verb} leaves the VM ${from} or ${to} (1.2, 3.5, 3.8, 9.5)`, async (t) => {
    const runs = await VerbRuns.of(t, verb);
    const ends = new Set<string>();
    for (const point of await runs.points()) {
      for (const phase of ['before', 'after'] as const) {
        const what = runs.case(point, `killed ${phase}`);
        await runs.prepare(what);
        await runs.disturb(point, phase, () => 'die');
        await runs.succeed();
        const end = await runs.check(what);
        await runs.checkAcknowledged(end, what);
        ends.add(end);
      }
    }
    for (const end of new Set([from, to])) assert.ok(ends.has(end), `the deaths were spread over the whole verb: ${[...ends].join(', ')}`);
  });
}

for (const verb of ['create', 'create --no-start'] as const) {
  test(`a daemon killed in the middle of writing a file in ${verb} leaves no half of it (9.5)`, async (t) => {
    const runs = await VerbRuns.of(t, verb);
    const writing = (await runs.points()).filter(({ effect }) => Object.hasOwn(HALF, effect));
    assert.ok(writing.length >= 4, `only ${writing.length} effects write a file`);
    for (const point of writing) {
      const what = runs.case(point, 'killed half-way');
      await runs.prepare(what);
      await runs.disturb(point, 'before', (effect) => {
        writeFileSync(HALF[effect.name]?.(effect) ?? '', 'half');
        return 'die';
      });
      await runs.succeed();
      await runs.check(what);
    }
  });
}

/** Where an effect that writes a file has it while it writes. */
const HALF: Record<string, (effect: Effect) => string> = {
  'host.writeFileAtomic': ({ args }) => `${String(args[0])}.0badcafe.partial`,
  'root.create': ({ args }) => (args[0] as { path: string }).path,
  'work.create': ({ args }) => (args[0] as { path: string }).path,
};

test('no verb of the API is left out', async (t) => {
  const { daemon } = await VerbRuns.of(t, 'stop');
  const { paths } = (await daemon.server.inject('/openapi.json')).json<{ paths: Record<string, Record<string, { responses: object }>> }>();
  const verbs = Object.entries(paths)
    .filter(([path]) => path.startsWith('/v1/vms'))
    .flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { responses }]) => (Object.hasOwn(responses, '202') ? `${method} ${path}` : [])),
    );
  const covered = new Set(VERB_NAMES.map((verb) => verb.split(' ')[0]));
  assert.equal(verbs.length, covered.size, `${verbs.join(', ')} and ${[...covered].join(', ')}`);
});

/** How often the daemon dies again while it recovers. */
const CRASHES = 3;

for (const verb of VERB_NAMES) {
  test(`a daemon killed in ${verb} and ${CRASHES} times more while it recovers leaves nothing half (3.8, 9.5)`, async (t) => {
    const runs = await VerbRuns.of(t, verb);
    const points = await runs.points();
    // Where a step ends, most of its traces are there.
    const ends = points.filter(({ step, n }) => points[n]?.step !== step);
    let next = 0;
    let died = 0;
    for (const point of ends) {
      const what = runs.case(point, `killed, and ${CRASHES} times more in recovery`);
      await runs.prepare(what);
      await runs.disturb(point, 'after', () => 'die');
      const deaths: string[] = [];
      for (let crash = 0; crash < CRASHES; crash++) {
        // Another effect each time, so that all of a recovery are met in the end.
        let left = next++ % 17;
        await runs.succeed((effect, phase) => {
          if (phase !== 'before' || left-- !== 0) return;
          deaths.push(effect.name);
          return 'die';
        });
      }
      died += deaths.length;
      await runs.succeed();
      await runs.check(`${what}: ${deaths.join(', ')}`);
    }
    assert.ok(died > ends.length, `only ${died} deaths in recovery`);
  });
}
