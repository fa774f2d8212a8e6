// A capability that no verb has ever heard of, with settings that no list names, to show that none has to.
import { toyOf } from '../support/daemon/toy-setting.ts';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { describeApi } from '../../src/api/openapi.ts';
import { ROUTE_GROUPS } from '../../src/api/routes.ts';
import { ALL_CAPABILITIES } from '../../src/capabilities/all.ts';
import type { Capability } from '../../src/context/capability.ts';
import { stepResult } from '../../src/context/step-result.ts';
import type { VmContext } from '../../src/context/vm-context.ts';
import { BangerError } from '../../src/model/errors.ts';
import { configReference } from '../../tools/docs/config-keys.ts';
import { created, daemonFor, done, ended, startDaemon } from '../support/daemon/test-daemon.ts';
import { runInProcess } from '../support/user/run-cli.ts';

/** Where the toy of a VM is. */
const pathOf = ({ paths }: VmContext): string => join(paths.directory, 'toy');

/** A file beside the disks of a VM with as many springs as the spec says, wound up while the VM runs, and painted in the colour of the label `toy`. */
function toyCapability(told: string[]): Capability {
  const spring = stepResult<string>('the spring');
  return {
    name: 'toy',
    checkNew(_services, spec) {
      if (toyOf(spec).toySprings > 5) throw new BangerError('INVALID_INPUT', 'a toy with so many springs jumps away');
    },
    prepare: {
      name: 'toy',
      title: 'toy',
      apply: (context) => context.services.world.files.writeFileAtomic(pathOf(context), `springs: ${toyOf(context.vm.spec).toySprings}`),
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
      make: ({ from, to }) => [
        ...(from.labels['toy'] === to.labels['toy'] ? [] : [write(to.labels['toy'] ?? 'no colour')]),
        ...(toyOf(from.spec).toySprings === toyOf(to.spec).toySprings ? [] : [write(`springs: ${toyOf(to.spec).toySprings}`)]),
      ],
      publish: () => [{ name: 'toy-show', title: 'show of the toy', apply: () => void told.push('is shown') }],
    },
    async doctor(context) {
      if (await context.services.world.files.exists(pathOf(context))) return [];
      return [{ name: 'toy', level: 'fail', vm: context.vm.name, reason: 'the toy is lost', remedy: 'look below the bed' }];
    },
  };
}

const write = (text: string) => ({
  name: 'toy-work',
  title: 'work on the toy',
  apply: (context: VmContext) => context.services.world.files.writeFileAtomic(pathOf(context), text),
});

/** @returns what it did, in order */
function withToy(t: TestContext): string[] {
  const told: string[] = [];
  const all = ALL_CAPABILITIES as Capability[];
  all.push(toyCapability(told));
  t.after(() => void all.pop());
  return told;
}

test('verbs that do not know a capability create, start, adopt, change, check and remove it (7.1)', async (t) => {
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

test('a failed creation undoes the toy, and a refused change changes nothing (7.1, 9.5)', async (t) => {
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

test('commands and schemas that do not know its settings accept, check, show and change them, and they are stored (3.2, 3.7, 7.1)', async (t) => {
  withToy(t);
  const { api, world, stop } = await daemonFor(t, { env: { BANGER_DEFAULTS_TOY_SPRINGS: '2' } });
  const vm = (...words: string[]) => runInProcess(world.env, ['vm', ...words]);
  const specOf = async (name: string) => toyOf((await api.showVm(name)).spec);
  assert.equal((await vm('create', 'plain', '--no-start')).exitCode, 0);
  assert.equal((await specOf('plain')).toySprings, 2);
  assert.ok(!('toyLoud' in (await specOf('plain'))));
  assert.match((await vm('create', 'web', '--toy-springs', '10')).stderr, /--toy-springs: "10" is not allowed.*1 to 9/s);
  assert.match((await vm('create', 'web', '--toy-springs', '6')).stderr, /jumps away/);
  assert.equal((await vm('create', 'web', '--toy-springs', '3', '--toy-loud')).exitCode, 0);
  const toy = join((await api.showVm('web')).paths.directory, 'toy');
  assert.equal(readFileSync(toy, 'utf8'), 'springs: 3');

  assert.match(
    (await vm('set', 'web', '--toy-springs', '2')).stderr,
    /the clockwork of web has 3 and cannot shrink to 2.*--toy-springs 3 or more/s,
  );
  assert.match((await vm('set', 'web', '--no-toy-loud')).stderr, /is running, and --toy-loud needs it stopped/);
  assert.equal((await vm('set', 'web', '--toy-springs', '4')).exitCode, 0);
  assert.equal(readFileSync(toy, 'utf8'), 'springs: 4');
  await stop();

  const next = await startDaemon(world);
  t.after(() => next.stop());
  const { toySprings, toyLoud } = toyOf((await next.api.showVm('web')).spec);
  assert.deepEqual([toySprings, toyLoud], [4, true]);
  assert.match((await vm('show', 'web')).stdout, /^springs: +4\ntoy: +heard$/m);
  assert.match((await vm('list', '-o', 'wide')).stdout, /NAT +SPRINGS.*\n.*yes +2 .*\n.*yes +4 /);
  assert.match(
    (await vm('set', '--help')).stdout,
    /machines: --nat, .*--toy-springs, --name.*--toy-springs <count> +springs of the toy; it only grows/s,
  );
});

test('its settings are in the OpenAPI document and among the keys of config.toml (2.2, 7.1)', () => {
  type Schema = { properties: Record<string, unknown>; required: string[] };
  const schemas = describeApi(ROUTE_GROUPS, '1').components.schemas as Record<string, Schema>;
  for (const name of ['CreateVmInput', 'SetVmInput', 'VmSpec']) {
    const described = { type: 'integer', minimum: 1, maximum: 9, description: 'springs of the toy' };
    assert.deepEqual(schemas[name]?.properties['toySprings'], described);
  }
  const required = schemas['VmSpec']?.required ?? [];
  assert.deepEqual([required.includes('toySprings'), required.includes('toyLoud')], [true, false]);
  const keys = configReference().filter(({ key }) => key.startsWith('defaults.toy'));
  assert.deepEqual(keys, [
    {
      ...{ key: 'defaults.toy_springs', environment: 'BANGER_DEFAULTS_TOY_SPRINGS', default: '1' },
      meaning: 'clockwork of VMs created without --toy-springs',
    },
    {
      ...{ key: 'defaults.toy_loud', environment: 'BANGER_DEFAULTS_TOY_LOUD', default: 'false' },
      meaning: 'whether VMs created without --toy-loud or --no-toy-loud are heard',
    },
  ]);
});
