// Templates: VMs that are made without a boot, and what happens when that cannot be.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { vmPaths } from '../../src/model/paths.ts';
import { templatesOf } from '../../src/lifecycle/template/templates.ts';
import { created, daemonFor, done, ended, fakeOf, type TestDaemon } from '../support/daemon/test-daemon.ts';
import { assertSound } from '../support/daemon/soundness.ts';

const ENABLED = { BANGER_TEMPLATES_ENABLED: 'true', BANGER_TEMPLATES_POOL: '0' };
const daemonWith = (t: TestContext, env: Record<string, string> = {}): Promise<TestDaemon> => daemonFor(t, { env: { ...ENABLED, ...env } });

/** Whether a VM of this world was cloned: all clones of a template were booted once. */
const bootOf = ({ world }: TestDaemon, name: string): string => fakeOf(world, name).guest.bootId;

/** @returns the stages of the VM's creation */
async function stagesOf({ api }: TestDaemon, name: string): Promise<string[]> {
  const operation = (await api.listOperations()).findLast(({ verb, vmName }) => verb === 'vm.create' && vmName === name);
  const { events } = await ended(api, { id: operation?.id ?? '' });
  return events.flatMap((event) => (event.type === 'stage' && event.status === 'done' ? [event.stage] : []));
}

test('the first creation leaves a template, and later ones are clones of it, each another machine (10.1)', async (t) => {
  const daemon = await daemonWith(t);
  const { api, world, services } = daemon;
  const first = await created(api, 'first');
  await services.background.settled();
  const [template, ...more] = await api.listTemplates();
  assert.ok(template !== undefined && more.length === 0);
  assert.deepEqual([template.image, template.lastUsedAt], ['default', null]);
  assert.equal((await api.showImage('default')).templates, 1);
  const finding = (await api.doctor()).findings.find(({ name }) => name === 'templates');
  assert.match(finding?.reason ?? '', /^templates take .* of the disk \(1\), and all may take 4 GiB$/);
  const { ready } = await api.stats();
  assert.deepEqual([ready.templates, ready.allocatedBytes], [1, template.allocatedBytes]);
  const [one, other] = [await created(api, 'one'), await created(api, 'other')];
  assert.equal(bootOf(daemon, 'one'), bootOf(daemon, 'other'));
  assert.notEqual(bootOf(daemon, 'one'), bootOf(daemon, 'first'));
  assert.ok((await stagesOf(daemon, 'one')).includes('restore') && (await stagesOf(daemon, 'first')).includes('boot'));
  const identities = ['one', 'other'].map((name) => fakeOf(world, name).guest.personalization ?? {});
  for (const member of ['hostname', 'machineId', 'randomSeed', 'sshHostKey', 'network', 'hosts']) {
    assert.notDeepEqual(identities[0]?.[member], identities[1]?.[member], member);
  }
  assert.deepEqual(
    identities.map(({ restored, machineId }) => [restored, machineId]),
    [
      [true, one.id],
      [true, other.id],
    ],
  );
  assert.notEqual((await api.listTemplates())[0]?.lastUsedAt, null);
  await done(api, api.deleteTemplate(template.id.slice(0, 8)));
  assert.deepEqual(
    (await assertSound(daemon, 'without the template')).map(({ name }) => name),
    [first.name, 'one', 'other'],
  );
  await created(api, 'late', { cold: true });
  assert.ok((await stagesOf(daemon, 'late')).includes('boot'));
});

test('a creation boots where it was told to, and where there is no template of its shape (10.1)', async (t) => {
  const daemon = await daemonWith(t);
  const { api, services } = daemon;
  await done(api, api.warmImage('default', false));
  await done(api, api.warmImage('default', false));
  assert.equal((await api.listTemplates()).length, 1);
  for (const [name, body, wanted] of [
    ['told', { cold: true }, 'boot'],
    ['smaller', { memoryMib: 512 }, 'boot'],
    ['offline', { nat: false }, 'restore'],
    ['stopped', { start: false }, 'settle'],
  ] as const) {
    await created(api, name, body);
    assert.ok((await stagesOf(daemon, name)).includes(wanted), name);
  }
  await services.background.settled();
  assert.deepEqual(
    (await api.listTemplates()).map(({ spec }) => spec.memoryMib),
    [1024, 512],
  );
});

test('a template that cannot be used is replaced, and the VM boots (10.1, 10.5)', async (t) => {
  const daemon = await daemonWith(t);
  const { api, world, services } = daemon;
  const snapshot = (): string => vmPaths(world.directories, { id: templatesOf(services)[0]?.id ?? '' }).snapshot;
  const breaks: [string, () => void][] = [
    ['the key', () => writeFileSync(join(snapshot(), 'key.json'), '{"format":1}')],
    ['the state', () => writeFileSync(join(snapshot(), 'state'), 'nonsense')],
    ['the memory', () => rmSync(join(snapshot(), 'memory'))],
    ['all of it', () => rmSync(snapshot(), { recursive: true })],
    ['a disk', () => rmSync(vmPaths(world.directories, { id: templatesOf(services)[0]?.id ?? '' }).rootOverlay)],
  ];
  for (const [at, [what, spoil]] of breaks.entries()) {
    await done(api, api.warmImage('default', false));
    const [before] = templatesOf(services);
    spoil();
    await created(api, `vm-${at}`);
    assert.ok((await stagesOf(daemon, `vm-${at}`)).includes('boot'), what);
    await services.background.settled();
    const [after, ...more] = templatesOf(services);
    assert.ok(after !== undefined && after.id !== before?.id && more.length === 0, what);
    await created(api, `clone-${at}`);
    assert.ok((await stagesOf(daemon, `clone-${at}`)).includes('restore'), what);
  }
});

test('templates that were used longest ago give way to the budget, and one that is larger than it alone is not kept (10.1)', async (t) => {
  const daemon = await daemonWith(t, { BANGER_TEMPLATES_BUDGET: '7M' });
  const { api, services } = daemon;
  const sizes = async (): Promise<number[]> => (await api.listTemplates()).map(({ spec }) => spec.memoryMib);
  const make = async (name: string, memoryMib: number): Promise<void> => {
    await created(api, name, { memoryMib });
    await services.background.settled();
  };
  // Two megabytes each.
  for (const memoryMib of [256, 512, 768]) await make(`of-${memoryMib}`, memoryMib);
  assert.deepEqual(await sizes(), [256, 512, 768]);
  await make('again', 256);
  await make('larger', 1024);
  assert.deepEqual(await sizes(), [256, 768, 1024]);
  await assertSound(daemon, 'after the eviction');
  services.settings.templates.budgetBytes = 1024 ** 2;
  const { error } = await ended(api, await api.warmImage('default', false));
  assert.deepEqual([error, await sizes()], [null, [256, 768, 1024]], 'there is one already');
  await make('more', 2048);
  assert.deepEqual(await sizes(), [256, 768, 1024]);
  await make('once-more', 2048);
  const told = daemon.log.filter(({ reason }) => /all may take 1 MiB/.test(String(reason)));
  assert.equal(told.length, 1, 'it is told once, and not tried again');
});

test('an image that only a template uses can be deleted, and takes it along; a VM made from it stays (10.1)', async (t) => {
  const daemon = await daemonWith(t);
  const { api, world } = daemon;
  await done(api, api.warmImage('default', false));
  await created(api, 'web');
  await assert.rejects(api.deleteImage('default'), { code: 'WRONG_STATE' });
  const [template] = await api.listTemplates();
  await done(api, api.deleteTemplate(template?.id ?? ''));
  await assert.rejects(api.deleteTemplate(template?.id ?? ''), { code: 'NOT_FOUND', remedy: 'banger template list' });
  await assertSound(daemon, 'without its template');
  await done(api, api.beginVm('web', 'restart'));
  await done(api, api.warmImage('default', false));
  await done(api, api.beginVm('web', 'delete'));
  await done(api, api.deleteImage('default'));
  assert.deepEqual([await api.listTemplates(), world.remains()], [[], []]);
});

test('where templates are switched off, none is made (10.1)', async (t) => {
  const { api, services } = await daemonFor(t);
  await created(api, 'web');
  await services.background.settled();
  assert.deepEqual(await api.listTemplates(), []);
  await assert.rejects(api.warmImage('default', false), { code: 'UNSUPPORTED', message: /switched off/ });
});
