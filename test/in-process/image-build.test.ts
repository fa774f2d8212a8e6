// The build of an image on simulated machines; test/e2e/image-build.test.ts has it with real ones.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BuildImage } from '../../src/api/image-schemas.ts';
import { BangerError, toErrorBody } from '../../src/model/errors.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, ended, fakeOf, startDaemon, type TestDaemon, until } from '../support/daemon/test-daemon.ts';
import { assertNothingBuilt } from '../support/daemon/soundness.ts';

const MIB = 1024 ** 2;

type End = Pick<Awaited<ReturnType<typeof ended>>, 'state' | 'error' | 'events'>;

/** Small, as the simulated host cannot copy without holes. */
async function build({ api }: TestDaemon, body: Partial<BuildImage> = {}): Promise<End> {
  try {
    return await ended(api, await api.buildImage({ name: 'dev', sizeBytes: 64 * MIB, ...body }, false));
  } catch (error) {
    // Refused before there was an operation.
    return { state: 'failed', error: toErrorBody(error), events: [] };
  }
}

test('an image is built in a VM that is gone afterwards; VMs of it wait for its services (8.3, 8.6, 3.3)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, services, world } = daemon;
  const script = { path: '/home/me/setup.sh', text: 'echo mine' };
  const { state, error, events } = await build(daemon, { script });
  assert.deepEqual([state, error], ['done', null]);
  const stages = events.flatMap((event) => (event.type === 'stage' && event.status === 'done' ? [event.stage] : []));
  assert.deepEqual(stages.slice(stages.indexOf('packages')), [
    ...['packages', 'development', 'tool', 'addon', 'script', 'clean', 'poweroff', 'disks', 'builder-end', 'boot-files', 'publish'],
  ]);
  const lines = events.flatMap((event) => (event.type === 'log' ? [event.line] : []));
  assert.deepEqual(lines.slice(1), ['tool', 'mine']);
  const image = await api.showImage('dev');
  assert.deepEqual(
    [image.managed, image.origin, image.packages, image.packagesHash, image.servicePorts, image.rootfsBytes],
    [true, 'built', ['git'], 'hash of git', [22], 64 * MIB],
  );
  assert.match(image.workSeedFingerprint ?? '', /^[0-9a-f]{64}$/);
  assert.match(image.sshKeyFingerprint ?? '', /^SHA256:/);
  const log = readFileSync(image.buildLogPath ?? '', 'utf8');
  assert.match(log, /== packages\n[^]*== tool\ntool\n== tool: done in/);
  assert.deepEqual(services.vms.records.list(), []);
  assert.deepEqual(world.remains(), []);
  const web = await created(api, 'web', { image: 'dev' });
  assert.equal(web.spec.rootOverlayBytes, 8 * 1024 * MIB);
  assert.deepEqual(readdirSync(services.images.pathsOf(image).directory).toSorted(), [
    ...['image.json', 'initramfs', 'kernel', 'rootfs.ext4', 'work-seed.ext4'],
  ]);
});

test('a script is run by the program after its #!, or by the shell if it has none (8.4)', async (t) => {
  const daemon = await daemonFor(t);
  const said = async (text: string): Promise<string[]> => {
    const { state, error, events } = await build(daemon, { script: { path: '/s', text }, replace: true });
    assert.equal(state, 'done', JSON.stringify(error));
    return events.flatMap((event) => (event.type === 'log' ? [event.line] : []));
  };
  assert.ok((await said('#!/usr/bin/env python3\nprint(1)\n')).includes('run by /usr/bin/env python3'));
  assert.ok((await said('#! /bin/bash -e\nset -o pipefail')).includes('run by  /bin/bash -e'));
  assert.ok((await said('echo plain')).includes('plain'));
});

test("steps are chosen by name, and packages by the user's list (8.3, 8.4)", async (t) => {
  const daemon = await daemonFor(t);
  const { world, api } = daemon;
  const banger = (...argv: string[]) => runInProcess({ ...world.env }, ['image', 'build', ...argv]);
  const list = join(world.directory, 'packages.txt');
  writeFileSync(list, '# mine\njq # for JSON\n\nripgrep\n');
  const { exitCode, stdout, stderr } = await banger('--name', 'dev', '--packages', list, '--step', 'development', '--step', 'tool');
  assert.deepEqual([exitCode, stdout], [0, 'dev\n'], stderr);
  assert.match(stderr, /✓ packages[^]*✓ tool[^]*built in .*; the log is .*\.log\n/);
  assert.doesNotMatch(stderr, /addon/);
  assert.deepEqual((await api.showImage('dev')).packages, ['jq', 'ripgrep']);
  assert.match((await banger('--list-steps')).stdout, /^addon +addon +tool +- +always$/m);
  const refused: [string[], RegExp][] = [
    [['--skip', 'tool'], /step addon needs tool\n {2}try: .*--skip addon/],
    [['--step', 'emacs'], /no provisioning step "emacs"\n {2}try: use one of development, tool, addon/],
    [['--from', 'nobody'], /no image "nobody"/],
    [['--size', '64K'], /--size: "64K" is not allowed/],
    [['--distribution', 'void'], /there is no image of void/],
    [['--packages', join(world.directory, 'none')], /--packages: ENOENT/],
    [['--name', 'dev'], /there is already an image named dev/],
    [['--name', 'Dev'], /upper-case/],
  ];
  for (const [flags, reason] of refused) {
    const end = await banger('--name', 'other', ...flags);
    assert.match(end.stderr, reason, flags.join(' '));
    assert.notEqual(end.exitCode, 0);
  }
  assert.equal((await banger()).exitCode, 2);
  writeFileSync(list, 'jq; reboot\n');
  assert.match((await banger('--name', 'other', '--packages', list)).stderr, /line \d+ of .* is not the name of a package/);
  assert.deepEqual(await api.listVms(), []);
});

test('whichever step of a build fails, it leaves neither image nor VM and names its log (8.3, 9.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { effects } = daemon;
  let tried = 0;
  for (let n = 1; ; n++) {
    let [count, isCut] = [0, false];
    effects.hook = ({ name }, phase) => {
      if (phase !== 'before' || isCut || !BROKEN.test(name) || ++count !== n) return;
      isCut = true;
      throw new BangerError('STORAGE_FAILED', `${name} made to fail`);
    };
    const { state, error } = await build(daemon);
    effects.hook = () => undefined;
    if (state === 'done') break;
    tried = n;
    assert.match(error?.message ?? '', /made to fail/);
    await assertNothingBuilt(daemon, `${error?.message} (${n})`);
  }
  assert.ok(tried > 40, `only ${tried} effects`);
});

/** The log of a build may fail unnoticed; the rest is what it works with. */
const BROKEN = /^(host\.(?!appendText|isAlive|bootId)|storage|network|hypervisor|machine|sources\.(?!hash))/;

test('a build leaves neither image nor VM wherever it is cancelled (8.3, 1.4)', async (t) => {
  const daemon = await daemonFor(t);
  const { effects, services } = daemon;
  let [tried, told] = [0, 0];
  for (let n = 1; ; n += 3) {
    let [count, isCut] = [0, false];
    effects.hook = ({ name }, phase) => {
      if (phase !== 'before' || isCut || !BROKEN.test(name)) return;
      const running = services.operations.list().find((operation) => operation.state === 'running');
      if (running === undefined || ++count !== n) return;
      isCut = true;
      services.operations.cancel(running.id);
    };
    const { state, error } = await build(daemon);
    effects.hook = () => undefined;
    if (state === 'done') break;
    tried++;
    assert.deepEqual([state, error?.undo], ['cancelled', undefined], `effect ${n}`);
    if (error?.logPath !== undefined) {
      told++;
      assert.match(readFileSync(error.logPath, 'utf8'), /: cancelled\n$/, `effect ${n}`);
    }
    await assertNothingBuilt(daemon, `effect ${n}`);
  }
  assert.ok(tried > 10, `only ${tried} effects`);
  assert.ok(told > 5, `only ${told} named their log`);
});

test('wherever the daemon dies in a build, there is an image or nothing, and no VM (8.3, 9.5)', async (t) => {
  const first = await daemonFor(t);
  await first.stop();
  let daemon = await startDaemon(first.world);
  t.after(() => daemon.stop());
  const deaths: string[] = [];
  for (let n = 1; ; n += 5) {
    let count = 0;
    daemon.effects.hook = ({ name }, phase) => {
      if (phase !== 'before' || !BROKEN.test(name) || ++count !== n) return undefined;
      deaths.push(name);
      return 'die';
    };
    const building = build(daemon);
    building.catch(() => undefined);
    const isDead = await Promise.race([daemon.effects.died.then(() => true), building.then(() => false)]);
    daemon.effects.hook = () => undefined;
    if (!isDead) break;
    await daemon.kill();
    daemon = await startDaemon(first.world);
    const what = `${deaths.at(-1)} (${n})`;
    if ((await daemon.api.listImages()).some(({ name }) => name === 'dev')) {
      await done(daemon.api, daemon.api.deleteImage('dev'));
    }
    await assertNothingBuilt(daemon, what);
  }
  assert.ok(deaths.length > 8, `only ${deaths.length} deaths`);
});

test('a guest that fails a step, dies, or does not shut down ends its build (8.3)', async (t) => {
  const daemon = await daemonFor(t, { env: { BANGER_BOOT_TIMEOUT_SECONDS: '5' } });
  const failed = await build(daemon, { script: { path: '/s.sh', text: 'exit 7' } });
  assert.match(failed.error?.message ?? '', /step script ended with status 7/);
  assert.ok(existsSync(failed.error?.logPath ?? ''));
  await assertNothingBuilt(daemon, 'status 7');
  const { api, world } = daemon;
  const dying = await api.buildImage({ name: 'dev', script: { path: '/s.sh', text: 'exit 0' } }, false);
  daemon.effects.hook = ({ name }, phase) => {
    if (name === 'sources.artifact' && phase === 'after') fakeOf(world, 'build-dev').end({ cause: 'crash', detail: 'made to die' });
  };
  assert.equal((await ended(api, dying)).state, 'failed');
  daemon.effects.hook = () => undefined;
  await assertNothingBuilt(daemon, 'death');
});

test('the VM of a build is removed by cancelling the build, and can neither be started nor entered (8.3, 3.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, effects } = daemon;
  const { promise: go, resolve } = Promise.withResolvers<void>();
  effects.hook = ({ name }, phase) => void (name === 'sources.artifact' && phase === 'before' && resolve());
  const operation = await api.buildImage({ name: 'dev', script: { path: '/s.sh', text: 'exit 0' } }, false);
  await go;
  await assert.rejects(api.exec('build-dev', { argv: ['true'] }), BangerError);
  await done(api, api.beginVm('build-dev', 'delete'));
  assert.equal((await ended(api, operation)).state, 'cancelled');
  await until(async () => (await api.listVms()).length === 0);
  await assertNothingBuilt(daemon, 'delete');
});

test('a stale image says how to rebuild it; the new image takes its name, and VMs keep the old one (8.5)', async (t) => {
  const daemon = await daemonFor(t);
  const { api, services } = daemon;
  assert.equal((await build(daemon)).state, 'done');
  const old = await api.showImage('dev');
  await created(api, 'web', { image: 'dev', start: false });
  assert.equal((await build(daemon, { replace: true })).state, 'done');
  const renamed = await api.showImage(old.id);
  assert.deepEqual([renamed.name, renamed.vms], [`dev-${old.id.slice(0, 8)}`, ['web']]);
  const second = await api.showImage('dev');
  assert.equal((await build(daemon, { replace: true })).state, 'done');
  await assert.rejects(api.showImage(second.id), BangerError, 'nobody used it');
  assert.equal(existsSync(services.images.pathsOf(second).directory), false);
});

test('an image keeps its guest agent; list, show and doctor report an old one and how to renew it (8.5, 9.3)', async (t) => {
  const daemon = await daemonFor(t);
  const { world } = daemon;
  const banger = (...argv: string[]) => runInProcess(world.env, argv);
  assert.equal((await build(daemon)).state, 'done');
  assert.doesNotMatch((await banger('image', 'list')).stderr, /agent/);
  world.agentSha256 = 'b'.repeat(64);
  const rebuild = 'banger image build --name dev --from default --replace';
  const { stderr } = await banger('image', 'list');
  assert.match(stderr, new RegExp(`^dev has an older guest agent than new images; make it anew: ${rebuild}$`, 'm'));
  assert.match(stderr, /^default has an older guest agent than new images$/m);
  assert.match(
    (await banger('image', 'show', 'dev')).stdout,
    new RegExp(`^guest agent: +older than that of new images; renew it: ${rebuild}$`, 'm'),
  );
  const { findings } = await daemon.api.doctor();
  assert.deepEqual(
    findings.filter(({ name }) => name === 'images.agent').map(({ level, remedy }) => [level, remedy]),
    [['warn', rebuild]],
  );
});
