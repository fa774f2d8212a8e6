// An image of a distribution's packages, with a small distribution in memory; test/e2e/image-void.test.ts has it with Void's format.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { BuildImage } from '../../src/api/image-schemas.ts';
import { BangerError, toErrorBody } from '../../src/model/errors.ts';
import type { EffectHook } from '../support/daemon/effects.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { assertNothingBuilt } from '../support/daemon/soundness.ts';
import { created, daemonFor, done, ended, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';

const MIB = 1024 ** 2;
type End = Pick<Awaited<ReturnType<typeof ended>>, 'state' | 'error' | 'events'>;

/** Small, as the simulated host cannot copy without holes. */
async function build({ api }: TestDaemon, body: Partial<BuildImage> = {}): Promise<End> {
  try {
    return await ended(api, await api.buildImage({ name: 'new', distribution: 'exotic', sizeBytes: 64 * MIB, ...body }, false));
  } catch (error) {
    // Refused before there was an operation.
    return { state: 'failed', error: toErrorBody(error), events: [] };
  }
}

/** What the build works with; the log may fail unnoticed. */
const BROKEN = /^(host\.(?!appendText|isAlive|bootId)|storage|network|hypervisor|machine|distribution|sources\.(?!hash))/;

test('an image is made from packages alone: assembled, configured in a VM that boots it, and kept (8.7, 8.3)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, world, services } = daemon;
  const { state, error, events } = await build(daemon, { script: { path: '/home/me/setup.sh', text: 'echo mine' } });
  assert.deepEqual([state, error], ['done', null]);
  const stages = events.flatMap((event) => (event.type === 'stage' && event.status === 'done' ? [event.stage] : []));
  assert.deepEqual(stages.slice(0, 5), ['stage', 'log', 'packages', 'assemble', 'builder']);
  assert.deepEqual(stages.slice(stages.indexOf('system')), [
    'system',
    'configure',
    'script',
    'clean',
    'poweroff',
    'disks',
    'builder-end',
    'publish',
  ]);
  const image = await api.showImage('new');
  assert.deepEqual(
    [image.distribution, image.initSystem, image.kernelVersion, image.packages, image.packagesHash, image.rootfsBytes],
    ['exotic', 'runit', '6.0.0_1', ['base'], 'hash of base', 64 * MIB],
  );
  assert.equal(readFileSync(image.kernelPath, 'utf8'), 'exotic');
  assert.match(image.workSeedFingerprint ?? '', /^[0-9a-f]{64}$/);
  assert.match(readFileSync(image.buildLogPath ?? '', 'utf8'), /== configuration of the packages\nconfigured\n/);
  assert.deepEqual([services.vms.records.list(), world.remains()], [[], []]);
  assert.deepEqual(readdirSync(services.images.pathsOf(image).directory).toSorted(), [
    ...['image.json', 'initramfs', 'kernel', 'modules.tar.zst', 'rootfs.ext4', 'work-seed.ext4'],
  ]);
  const shown = (await runInProcess({ ...world.env }, ['image', 'show', 'new'])).stdout;
  assert.match(shown, /^distribution: +exotic\ninit: +runit\nkernel version: +6\.0\.0_1$/m);
  await created(api, 'web', { image: 'new' });
});

test('options that do not fit a distribution built from packages are refused at once (8.7)', async (t) => {
  const daemon = await daemonFor(t);
  for (const wish of [{ only: ['tool'] }, { skip: ['tool'] }]) {
    assert.match((await build(daemon, wish)).error?.message ?? '', /no provisioning steps for exotic/);
  }
  const { state, error } = await build(daemon, { from: 'default' });
  assert.deepEqual([state, error?.message], ['failed', 'the image default is of debian, not of exotic']);
  assert.match((await build(daemon, { distribution: 'constructor' })).error?.message ?? '', /there is no image of constructor/);
  await assertNothingBuilt(daemon, 'refused');
  await build(daemon, { packages: { path: '/list', names: ['Mine_2'] } });
  assert.deepEqual((await daemon.api.showImage('new')).packages, ['Mine_2']);
  const scripts = { name: 'more', from: 'new', distribution: undefined };
  assert.match((await build(daemon, { ...scripts, only: ['tool'] })).error?.message ?? '', /are for Debian, and new is of exotic/);
  assert.match((await build(daemon, { ...scripts, packages: { path: '/l', names: ['git'] } })).error?.message ?? '', /are for Debian/);
  assert.equal((await build(daemon, { ...scripts, script: { path: '/s', text: 'exit 0' } })).state, 'done');
  assert.equal((await daemon.api.showImage('more')).kernelVersion, '6.0.0_1');
});

type Interference = {
  do(daemon: TestDaemon): 'die' | void;
  /** Which effects; the `stride`th after the last one is the next. */
  stride: number;
  isInTime?(daemon: TestDaemon): boolean;
};

const isRunning = ({ services: { operations } }: TestDaemon): boolean => operations.list().some(({ state }) => state === 'running');

/** Builds again and again, with something in the way of each effect in turn, until one build is left alone. @returns how many were not */
async function disturbAll(
  first: TestDaemon,
  { stride, isInTime = () => true, ...interference }: Interference,
  after: (what: string, daemon: TestDaemon, end: End | undefined) => Promise<TestDaemon>,
): Promise<number> {
  let daemon = first;
  for (let n = 1, tried = 0; ; n += stride, tried++) {
    let count = 0;
    let at: string | undefined;
    const hook: EffectHook = ({ name }, phase) => {
      if (phase !== 'before' || at !== undefined || !BROKEN.test(name) || !isInTime(daemon) || ++count !== n) return undefined;
      at = name;
      return interference.do(daemon);
    };
    daemon.effects.hook = hook;
    const building = build(daemon);
    building.catch(() => undefined);
    const end = await Promise.race([building, daemon.effects.died.then(() => undefined)]);
    daemon.effects.hook = () => undefined;
    if (at === undefined) return tried;
    daemon = await after(`${at} (${n})`, daemon, end);
  }
}

test('whichever step fails, nothing is left (8.7, 9.5)', async (t) => {
  const fail = (): void => {
    throw new BangerError('STORAGE_FAILED', 'made to fail');
  };
  const tried = await disturbAll(await daemonFor(t), { do: fail, stride: 1 }, async (what, daemon, end) => {
    // A VMM that is known to have ended need not be looked for; such a build is none that failed.
    if (end?.state === 'done') await done(daemon.api, daemon.api.deleteImage('new'));
    await assertNothingBuilt(daemon, what);
    return daemon;
  });
  assert.ok(tried > 40, `only ${tried} effects`);
});

test('wherever the build is cancelled, nothing is left (8.7, 1.4)', async (t) => {
  const cancel = ({ services: { operations } }: TestDaemon): void => {
    for (const { id, state } of operations.list()) if (state === 'running') operations.cancel(id);
  };
  const tried = await disturbAll(await daemonFor(t), { do: cancel, stride: 3, isInTime: isRunning }, async (what, daemon) => {
    await assertNothingBuilt(daemon, what);
    return daemon;
  });
  assert.ok(tried > 10, `only ${tried} effects`);
});

test('wherever the daemon dies, there is an image or nothing, and no VM (8.7, 9.5)', async (t) => {
  const first = await daemonFor(t);
  await first.stop();
  let last = await startDaemon(first.world);
  t.after(() => last.stop());
  const tried = await disturbAll(last, { do: () => 'die', stride: 4 }, async (what, daemon) => {
    await daemon.kill();
    last = await startDaemon(first.world);
    const { api } = last;
    if ((await api.listImages()).some(({ name }) => name === 'new')) await done(api, api.deleteImage('new'));
    await assertNothingBuilt(last, what);
    return last;
  });
  assert.ok(tried > 8, `only ${tried} deaths`);
});
