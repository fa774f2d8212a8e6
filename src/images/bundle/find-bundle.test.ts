import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realHost } from '../../host/host.ts';
import { BUNDLE_PARTS } from '../../model/image.ts';
import type { BundleManifest } from '../../model/image.ts';
import { hashSources } from './build-inputs.ts';
import { bundleStatus } from './bundle-status.ts';
import { bundlePlaces, findBundle } from './find-bundle.ts';
import { parseManifest } from './manifest.ts';

const ZEROS = '0'.repeat(64);

function sampleManifest(inputsHash = ZEROS): BundleManifest {
  const sha256 = createHash('sha256').update('data').digest('hex');
  return {
    formatVersion: 1,
    architecture: 'x86_64',
    distribution: 'debian bookworm',
    kernelVersion: '6.1.0-1-cloud-amd64',
    builtAt: '2026-01-02T03:04:05Z',
    inputsHash,
    packages: ['udev'],
    packagesHash: ZEROS,
    files: Object.fromEntries(BUNDLE_PARTS.map((part) => [part, { path: part, sizeBytes: 4, sha256 }])) as BundleManifest['files'],
  };
}

/** Calls `body` with the path of a new directory and a function that makes a good bundle below it. */
async function inDirectory(
  body: (root: string, makeBundle: (name: string, inputsHash?: string) => Promise<string>) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'banger-bundle-'));
  const makeBundle = async (name: string, inputsHash?: string): Promise<string> => {
    const directory = join(root, name);
    await mkdir(directory, { recursive: true });
    for (const part of BUNDLE_PARTS) await writeFile(join(directory, part), 'data');
    await writeFile(join(directory, 'bundle.json'), JSON.stringify(sampleManifest(inputsHash)));
    return directory;
  };
  try {
    await body(root, makeBundle);
  } finally {
    await rm(root, { recursive: true });
  }
}

test('flag, environment, config, beside the program, checkout: in this order (2.4)', () => {
  const all = { flag: '/f', env: '/e', config: '/c', besideProgram: '/usr/bin/../lib/banger', checkout: '/src/runtime' };
  const { flag: _flag, ...withoutFlag } = all;
  const { env: _env, ...withoutEnv } = withoutFlag;
  const { config: _config, ...usual } = withoutEnv;
  const directories = (places: Parameters<typeof bundlePlaces>[0]): string[] => bundlePlaces(places).map((place) => place.directory);
  assert.deepEqual(directories(all), ['/f']);
  assert.deepEqual(directories(withoutFlag), ['/e']);
  assert.deepEqual(directories({ ...withoutEnv, env: '' }), ['/c']);
  assert.deepEqual(directories(usual), ['/usr/lib/banger', '/src/runtime']);
  assert.deepEqual(directories({ ...usual, checkout: null }), ['/usr/lib/banger']);
  assert.deepEqual(directories({ ...usual, own: '/home/dev/state/runtime', checkout: null }), [
    '/home/dev/state/runtime',
    '/usr/lib/banger',
  ]);
});

test('a bundle is found in the second place, and a named place that has none is not replaced by another (2.4)', async () => {
  await inDirectory(async (root, makeBundle) => {
    const checkout = await makeBundle('runtime');
    const usual = { besideProgram: join(root, 'lib/banger'), checkout };
    assert.equal((await findBundle(usual, realHost)).directory, checkout);
    await assert.rejects(findBundle({ ...usual, flag: join(root, 'nowhere') }, realHost), {
      code: 'BUNDLE_MISSING',
      remedy: 'banger bundle build',
    });
  });
});

test('a missing file, a wrong size or a damaged manifest is a broken bundle with the command that mends it (2.4)', async () => {
  await inDirectory(async (root, makeBundle) => {
    const places = { besideProgram: join(root, 'b'), checkout: null };
    const broken = { code: 'BUNDLE_BROKEN', remedy: 'banger bundle build' };
    await makeBundle('b');
    await rm(join(root, 'b/kernel'));
    await assert.rejects(findBundle(places, realHost), { ...broken, message: /kernel is missing/ });
    await makeBundle('b');
    await truncate(join(root, 'b/rootfs'), 3);
    await assert.rejects(findBundle(places, realHost), { ...broken, message: /rootfs has 3 bytes instead of 4/ });
    await writeFile(join(root, 'b/bundle.json'), '{"formatVersion":2');
    await assert.rejects(findBundle(places, realHost), broken);
  });
});

test('a place that is no directory has no bundle, and one that cannot be read is a broken one: a daemon starts with either (2.4, 10.7)', async () => {
  await inDirectory(async (root) => {
    const refusal = (directory: string) => findBundle({ env: directory, besideProgram: join(root, 'away'), checkout: null }, realHost);
    await writeFile(join(root, 'file'), '');
    await assert.rejects(refusal(join(root, 'file')), { code: 'BUNDLE_MISSING' });
    await mkdir(join(root, 'odd', 'bundle.json'), { recursive: true });
    await symlink('circle', join(root, 'circle'));
    for (const name of ['odd', 'circle']) {
      const expected = { code: 'BUNDLE_BROKEN', message: /cannot be read: (EISDIR|ELOOP)/, remedy: 'banger bundle build' };
      await assert.rejects(refusal(join(root, name)), expected);
    }
  });
});

test('a manifest with an unknown field, a missing part or a path that leaves the bundle is refused (2.4)', () => {
  const good = sampleManifest();
  assert.deepEqual(parseManifest(JSON.stringify(good), 'x'), good);
  const bad: unknown[] = [
    { ...good, extra: 1 },
    { ...good, formatVersion: 2 },
    { ...good, files: { ...good.files, kernel: undefined } },
    ...['../kernel', '/etc/passwd', 'a/../../b', ''].map((path) => ({
      ...good,
      files: { ...good.files, kernel: { ...good.files.kernel, path } },
    })),
  ];
  for (const value of bad) assert.throws(() => parseManifest(JSON.stringify(value), 'x'), { code: 'BUNDLE_BROKEN' }, JSON.stringify(value));
});

test('status: not found, good, stale when the sources differ, and damaged content only when asked to verify (2.5)', async () => {
  await inDirectory(async (root, makeBundle) => {
    const sourceRoot = join(root, 'source');
    for (const folder of ['native/agent', 'native/common', 'native/forwarder', 'images/debian']) {
      await mkdir(join(sourceRoot, folder), { recursive: true });
      await writeFile(join(sourceRoot, folder, 'file'), folder);
    }
    const places = { besideProgram: join(root, 'b'), checkout: null };
    const status = (verify = false): ReturnType<typeof bundleStatus> => bundleStatus({ places, sourceRoot, verify, host: realHost });
    assert.deepEqual(await status(), { ...(await status()), found: false, stale: false, remedy: 'banger bundle build', files: [] });

    await makeBundle('b', (await hashSources(sourceRoot))?.all);
    const good = await status(true);
    assert.deepEqual([good.found, good.stale, good.problems, good.remedy], [true, false, [], null]);
    assert.equal(good.files.length, BUNDLE_PARTS.length);

    await writeFile(join(root, 'b/agent'), 'DATA');
    assert.deepEqual((await status()).problems, []);
    assert.deepEqual((await status(true)).problems, ['agent has other content than it was built with']);

    await writeFile(join(sourceRoot, 'native/agent/file'), 'changed');
    const stale = await status();
    assert.deepEqual([stale.stale, stale.remedy], [true, 'banger bundle build']);
    assert.equal((await bundleStatus({ places, sourceRoot: null, host: realHost })).stale, false);
  });
});

test("the hash of the sources changes with names and contents, not with a compiler's output (2.5)", async () => {
  await inDirectory(async (root) => {
    for (const folder of ['native/agent', 'native/common', 'native/forwarder', 'images/debian'])
      await mkdir(join(root, folder), { recursive: true });
    const hash = async (): Promise<string | undefined> => (await hashSources(root))?.all;
    const empty = await hash();
    await writeFile(join(root, 'native/agent/a'), 'x');
    const one = await hash();
    assert.notEqual(one, empty);
    await mkdir(join(root, 'native/agent/build'));
    await writeFile(join(root, 'native/agent/build/out'), 'x');
    assert.equal(await hash(), one);
    const before = await hashSources(root);
    await writeFile(join(root, 'native/common/shared.h'), 'x');
    const after = await hashSources(root);
    for (const program of ['agent', 'forwarder'] as const) assert.notEqual(after?.[program], before?.[program], program);
    assert.equal(after?.debian, before?.debian);
    await rm(join(root, 'native/forwarder'), { recursive: true });
    assert.equal(await hash(), undefined);
  });
});
