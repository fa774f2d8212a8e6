// A capability that no verb has ever heard of, to show that none has to.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ALL_CAPABILITIES } from '../../src/capabilities/all.ts';
import type { Capability } from '../../src/context/capability.ts';
import { stepResult } from '../../src/context/step-result.ts';
import type { VmContext } from '../../src/context/vm-context.ts';
import { created, daemonFor, done, ended, startDaemon } from '../support/daemon/test-daemon.ts';

/** Where the toy of a VM is. */
const pathOf = ({ paths }: VmContext): string => join(paths.directory, 'toy');

/** A file beside the disks of a VM, wound up while the VM runs, and painted in the colour of the label `toy`. */
function toyCapability(told: string[]): Capability {
  const spring = stepResult<string>('the spring');
  return {
    name: 'toy',
    prepare: {
      name: 'toy',
      title: 'toy',
      apply: (context) => context.services.world.files.writeFileAtomic(pathOf(context), 'new'),
      undo: (context) => context.services.world.files.removeTree(pathOf(context)),
    },
    beforeStart: {
      name: 'toy-spring',
      title: 'spring of the toy',
      apply: (context) => spring.set(context, `wound for ${context.vm.name}`),
      undo: () => void told.push('unwound'),
    },
    guestConfig: (context, draft) => void draft.hosts.push(`# ${spring.find(context)}`),
    afterStart: {
      name: 'toy-music',
      title: 'music of the toy',
      apply: () => void told.push('plays'),
      undo: () => void told.push('is silent'),
    },
    companion: {
      whilePowered: (_context, live) => {
        told.push('moves');
        live.companions.signal.addEventListener('abort', () => told.push('rests'));
      },
      whileUp: () => void told.push('dances'),
    },
    change: {
      check(_services, vm, { labels }) {
        if (labels['toy'] === 'invisible') throw new Error(`the toy of ${vm.name} must be seen`);
      },
      make: ({ from, to }) => (from.labels['toy'] === to.labels['toy'] ? [] : [paint(to.labels['toy'] ?? 'no colour')]),
      publish: () => [{ name: 'toy-show', title: 'show of the toy', apply: () => void told.push('is shown') }],
    },
    async doctor(context) {
      if (await context.services.world.files.exists(pathOf(context))) return [];
      return [{ name: 'toy', level: 'fail', vm: context.vm.name, reason: 'the toy is lost', remedy: 'look below the bed' }];
    },
  };
}

const paint = (colour: string) => ({
  name: 'toy-paint',
  title: 'paint of the toy',
  apply: (context: VmContext) => context.services.world.files.writeFileAtomic(pathOf(context), colour),
});

/** @returns what it did, in order */
function withToy(t: TestContext): string[] {
  const told: string[] = [];
  const all = ALL_CAPABILITIES as Capability[];
  all.push(toyCapability(told));
  t.after(() => void all.pop());
  return told;
}

test('a capability is made, started, adopted, changed, looked after and removed by verbs that do not know it (7.1)', async (t) => {
  const told = withToy(t);
  const { api, world, stop } = await daemonFor(t);
  const { events } = await ended(api, await api.createVm({ name: 'web' }, false));
  const steps = events.flatMap((event) => (event.type === 'stage' && event.status === 'done' ? event.stage : []));
  assert.deepEqual(
    steps.filter((name) => name.startsWith('toy')),
    ['toy', 'toy-spring', 'toy-music'],
  );
  assert.deepEqual(told.splice(0), ['moves', 'dances', 'plays']);
  const toy = join((await api.showVm('web')).paths.directory, 'toy');

  await done(api, api.beginVm('web', 'set', { labels: { toy: 'red' } }));
  assert.deepEqual(told.splice(0), ['is shown']);
  await stop();
  assert.deepEqual(told.splice(0), ['rests']);

  const next = await startDaemon(world);
  t.after(() => next.stop());
  assert.deepEqual(told.splice(0), ['moves', 'dances', 'plays']);
  await done(next.api, next.api.beginVm('web', 'stop'));
  assert.deepEqual(told.splice(0).toSorted(), ['is silent', 'rests', 'unwound']);
  await next.services.world.files.removeTree(toy);
  assert.match(JSON.stringify(await next.api.doctor()), /the toy is lost/);
  const refused = await ended(next.api, await next.api.beginVm('web', 'start'));
  assert.match(refused.error?.message ?? '', /the toy is lost/);
  await done(next.api, next.api.beginVm('web', 'delete'));
  assert.deepEqual([world.remains(), existsSync(toy)], [[], false]);
});

test('a creation that fails takes the toy back, and a change that is refused changes nothing (7.1, 9.5)', async (t) => {
  const told = withToy(t);
  const { api, world, effects } = await daemonFor(t);
  await created(api, 'web', { start: false });
  await assert.rejects(api.beginVm('web', 'set', { labels: { toy: 'invisible' } }));
  assert.deepEqual((await api.showVm('web')).labels, {});
  await done(api, api.beginVm('web', 'delete'));
  told.splice(0);
  effects.hook = ({ name }, phase) => {
    if (name === 'hypervisor.start' && phase === 'before') throw new Error('no');
  };
  assert.equal((await ended(api, await api.createVm({ name: 'web' }, false))).state, 'failed');
  assert.deepEqual([told.splice(0), world.remains().filter((line) => line.includes('toy'))], [['unwound'], []]);
});
