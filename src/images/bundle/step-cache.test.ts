import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realHost } from '../../host/host.ts';
import { hashOf } from './build-inputs.ts';
import { createStepCache } from './step-cache.ts';
import type { BuildStep, StageEvent } from './step-cache.ts';

type Build = (options?: { force?: boolean; failAt?: string; cancelAt?: string }) => Promise<{ ran: string[]; events: string[] }>;

/** A build of three steps, each of which uses the one before; `text` is what the first is made of. */
async function withBuild(body: (build: Build, cacheDirectory: string, inputs: { text: string }) => Promise<void>): Promise<void> {
  const cacheDirectory = await mkdtemp(join(tmpdir(), 'banger-steps-'));
  const inputs = { text: 'first' };
  const build: Build = async (options = {}) => {
    const ran: string[] = [];
    const stages: StageEvent[] = [];
    const abort = new AbortController();
    const cache = createStepCache({
      cacheDirectory,
      host: realHost,
      signal: abort.signal,
      force: options.force === true,
      onStage: (event) => stages.push(event),
    });
    const step = (name: string, input: string): BuildStep => ({
      name,
      key: hashOf(input),
      outputs: ['out'],
      apply: async (directory) => {
        await writeFile(join(directory, 'out'), `${name}(${input.slice(0, 8)})`);
        if (options.cancelAt === name) abort.abort();
        if (options.failAt === name) throw new RangeError('disk on fire');
        ran.push(name);
      },
    });
    const one = await cache.run(step('one', inputs.text));
    const two = await cache.run(step('two', one.outputs['out']?.sha256 ?? ''));
    await cache.run(step('three', two.outputs['out']?.sha256 ?? ''));
    await cache.prune();
    return { ran, events: stages.map((event) => `${event.name} ${event.state}`) };
  };
  try {
    await body(build, cacheDirectory, inputs);
  } finally {
    await rm(cacheDirectory, { recursive: true });
  }
}

test('a build that failed in the middle continues with the step that failed (2.5)', async () => {
  await withBuild(async (build, cacheDirectory) => {
    await assert.rejects(build({ failAt: 'two' }), { message: 'disk on fire' });
    assert.equal((await readdir(cacheDirectory)).length, 1, 'only the finished step is left');
    const { ran, events } = await build();
    assert.deepEqual(ran, ['two', 'three']);
    assert.deepEqual(events, ['one kept', 'two started', 'two finished', 'three started', 'three finished']);
  });
});

/** As if the last build had been hours ago. */
async function age(cacheDirectory: string): Promise<void> {
  for (const name of await readdir(cacheDirectory)) await utimes(join(cacheDirectory, name), 1, 1);
}

test('a killed step leaves only a partial directory, which is removed once no build can use it (2.5)', async () => {
  await withBuild(async (build, cacheDirectory) => {
    await build();
    const [name] = (await readdir(cacheDirectory)).filter((entry) => entry.startsWith('three'));
    const directory = join(cacheDirectory, name ?? '');
    await realHost.run(['mv', directory, `${directory}.partial`]);
    assert.deepEqual((await build()).ran, ['three']);
    assert.equal(await realHost.exists(`${directory}.partial`), true, 'another build may be at it');
    await age(cacheDirectory);
    assert.deepEqual((await build()).ran, []);
    assert.equal(await realHost.exists(`${directory}.partial`), false);
  });
});

test("parallel builds of different things keep each other's results (2.5)", async () => {
  await withBuild(async (build, cacheDirectory, inputs) => {
    const first = build();
    inputs.text = 'other';
    await Promise.all([first, build()]);
    assert.equal((await readdir(cacheDirectory)).length, 6);
    assert.deepEqual((await build()).ran, []);
  });
});

test('a second build runs nothing, a forced one everything (2.5)', async () => {
  await withBuild(async (build) => {
    assert.deepEqual((await build()).ran, ['one', 'two', 'three']);
    assert.deepEqual((await build()).ran, []);
    assert.deepEqual((await build({ force: true })).ran, ['one', 'two', 'three']);
  });
});

test('a changed input runs its step and the dependent ones again, and removes the old results (2.5)', async () => {
  await withBuild(async (build, cacheDirectory, inputs) => {
    await build();
    await age(cacheDirectory);
    inputs.text = 'other';
    assert.deepEqual((await build()).ran, ['one', 'two', 'three']);
    assert.equal((await readdir(cacheDirectory)).length, 3);
  });
});

test('a cancelled build says so, and its unfinished step does not count as made (2.5)', async () => {
  await withBuild(async (build) => {
    await assert.rejects(build({ cancelAt: 'two' }), { code: 'CANCELLED' });
    assert.deepEqual((await build()).ran, ['two', 'three']);
  });
});

test('a kept result that lost part of a file is made again (2.5)', async () => {
  await withBuild(async (build, cacheDirectory) => {
    await build();
    const [name] = (await readdir(cacheDirectory)).filter((entry) => entry.startsWith('one'));
    const path = join(cacheDirectory, name ?? '', 'out');
    const before = await readFile(path, 'utf8');
    await truncate(path, 1);
    assert.deepEqual((await build()).ran, ['one']);
    assert.equal(await readFile(path, 'utf8'), before);
  });
});
