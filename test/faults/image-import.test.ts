// The import of an image, broken at every single thing that it does.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { realHost } from '../../src/host/host.ts';
import { importImage } from '../../src/images/import/import-image.ts';
import { BangerError } from '../../src/model/errors.ts';
import { dockerArchive, tarOf } from '../support/images/container-image.ts';
import type { EffectHook } from '../support/daemon/effects.ts';
import { daemonFor, done, ended, startDaemon, type TestDaemon } from '../support/daemon/test-daemon.ts';

/** Methods that return no promise. */
const SYNC = ['isAlive', 'signalProcess', 'bootId', 'commandEnvironment', 'openUnpacked', 'confinedPath'];
const FAULTS = ['failure', 'cancel', 'death'] as const;
type Fault = (typeof FAULTS)[number];

/** An import is done by the real programs; the host that it asks for them is watched as the daemon's own. */
function watchImport({ services, effects }: TestDaemon): void {
  const host = effects.watch('host', realHost, SYNC);
  services.images.readForeign = (request) => importImage({ ...request, host });
}

function archive({ world }: TestDaemon): string {
  const path = join(world.directory, 'app.tar');
  writeFileSync(path, dockerArchive([tarOf([{ path: 'bin/app', body: 'app', mode: 0o755 }])], { Entrypoint: ['/bin/app'] }));
  return path;
}

/** What is left in the places where an import works. */
function assertWhole(daemon: TestDaemon, images: readonly { id: string; name: string }[], what: string): void {
  const root = join(daemon.world.directories.stateDirectory, 'images');
  const directories = existsSync(root) ? readdirSync(root) : [];
  const ids = images.filter(({ name }) => name === 'app').map(({ id }) => id);
  assert.deepEqual(directories, ids, what);
}

/** Runs the import with something in its way. @returns the daemon that is there afterwards: another one when it died */
async function disturbed(t: TestContext, daemon: TestDaemon, path: string, hook: EffectHook): Promise<TestDaemon> {
  const { effects, world } = daemon;
  effects.hook = hook;
  const work = daemon.api.importImage({ name: 'app', path }, false).then((operation) => ended(daemon.api, operation));
  await Promise.race([work.catch(() => undefined), effects.died]);
  effects.hook = () => undefined;
  if (!effects.dead) return daemon;
  await daemon.kill();
  const next = await startDaemon(world);
  t.after(next.stop);
  watchImport(next);
  return next;
}

/** Does the fault at the `n`th thing; `came` tells whether there was one. */
function faultAt(
  daemon: TestDaemon,
  fault: Fault,
  at: { n: number; phase: 'before' | 'after' },
): { hook: EffectHook; came: () => string | undefined } {
  const { operations } = daemon.services;
  let count = 0;
  let came: string | undefined;
  const hook: EffectHook = ({ name }, phase) => {
    if (phase !== at.phase || !name.startsWith('host.') || ++count !== at.n) return undefined;
    came = name;
    if (fault === 'death') return 'die';
    if (fault === 'failure') throw new BangerError('STORAGE_FAILED', 'made to fail');
    for (const { id, state } of operations.list()) if (state === 'running') operations.cancel(id);
    return undefined;
  };
  return { hook, came: () => came };
}

for (const fault of FAULTS) {
  test(`an import with a ${fault} at any thing that it does leaves the whole image or nothing (8.8, 9.5)`, async (t) => {
    let daemon = await daemonFor(t);
    watchImport(daemon);
    const path = archive(daemon);
    for (const phase of ['before', 'after'] as const) {
      const ends: boolean[] = [];
      for (let name: string | undefined = 'first'; name !== undefined;) {
        const { hook, came } = faultAt(daemon, fault, { n: ends.length + 1, phase });
        daemon = await disturbed(t, daemon, path, hook);
        name = came();
        const images = await daemon.api.listImages();
        assertWhole(daemon, images, `${fault} ${phase} ${name}, ${ends.length + 1}`);
        ends.push(images.some((image) => image.name === 'app'));
        if (ends.at(-1) === true) await done(daemon.api, daemon.api.deleteImage('app'));
      }
      assert.ok(ends.length > 12, `only ${ends.length} effects`);
      assert.ok(ends.includes(false) && ends.at(-1) === true, 'some imports came to nothing, and the undisturbed one did not');
    }
  });
}
