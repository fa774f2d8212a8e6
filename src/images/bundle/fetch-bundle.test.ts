import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { makeBundle, packagedBundle, temporaryDirectory } from '../../../test/support/images/bundle-fixture.ts';
import { serveRelease } from '../../../test/support/outside/release-fixture.ts';
import { realHost } from '../../host/host.ts';
import { encodeTarHeader, tarEnd, tarPadding } from '../../lib/tar.ts';
import type { BundleManifest } from '../../model/image.ts';
import { fetchBundle, type FetchBundleOptions } from './fetch-bundle.ts';
import { bundleStatus } from './bundle-status.ts';
import { parseManifest } from './manifest.ts';
import { packageBundle } from './package-bundle.ts';
import { parsePackageManifest, renderPackageManifest } from './package-manifest.ts';

const PROGRAM = join(import.meta.dirname, '../../../test/support/outside/fetch-program.ts');

type Place = { directory: string; cacheDirectory: string; manifest: () => BundleManifest };

function placeOf(t: TestContext): Place {
  const root = temporaryDirectory(t);
  const directory = join(root, 'bundle');
  const path = join(directory, 'bundle.json');
  return { directory, cacheDirectory: join(root, 'cache'), manifest: () => parseManifest(readFileSync(path, 'utf8'), path) };
}

function fetchInto(place: Place, manifestUrl: string, more: Partial<FetchBundleOptions> = {}): ReturnType<typeof fetchBundle> {
  const { directory, cacheDirectory } = place;
  const signal = new AbortController().signal;
  const nothing = (): undefined => undefined;
  return fetchBundle({ manifestUrl, directory, cacheDirectory, host: realHost, signal, onStage: nothing, onProgress: nothing, ...more });
}

/** Serves an archive, and writes a manifest that says of it what it should be. @returns the manifest's address */
async function serveArchive(t: TestContext, bytes: Buffer, claims: { sha256?: string; size?: number } = {}) {
  const server = await serveRelease(t, bytes);
  const manifest = join(temporaryDirectory(t), 'runtime-bundle.toml');
  const sha256 = claims.sha256 ?? createHash('sha256').update(bytes).digest('hex');
  writeFileSync(manifest, renderPackageManifest({ url: server.url, sha256, sizeBytes: claims.size ?? bytes.length }));
  return { server, manifestUrl: pathToFileURL(manifest).href };
}

/** Every part of the bundle is there with the content that its manifest says. */
async function assertWhole(place: Place): Promise<void> {
  const places = { besideProgram: place.directory, checkout: null };
  const { found, problems } = await bundleStatus({ places, sourceRoot: null, verify: true, host: realHost });
  assert.deepEqual([found, problems], [true, []]);
}

describe('packaging and fetching a bundle', () => {
  test('brings all parts but the key, which the other installation makes itself; holes stay holes (2.5)', async (t) => {
    const source = temporaryDirectory(t);
    const { archive, manifest, bundle } = await packagedBundle(source);
    const place = placeOf(t);
    await fetchInto(place, pathToFileURL(manifest).href);
    await assertWhole(place);
    const fetched = place.manifest();
    const contents = ({ files }: BundleManifest) => Object.entries(files).map(([part, file]) => [part, file?.sha256]);
    const keys = (entries: unknown[][]) => entries.filter(([part]) => String(part).startsWith('ssh'));
    const others = (entries: unknown[][]) => new Map(entries.filter(([part]) => !String(part).startsWith('ssh')) as [string, string][]);
    assert.deepEqual(others(contents(fetched)), others(contents(bundle.manifest)));
    assert.notDeepEqual(keys(contents(fetched)), keys(contents(bundle.manifest)));
    assert.equal(fetched.files.firecracker?.version, '1.16.1');
    assert.ok(!zstdDecompressSync(readFileSync(archive)).includes('sshPrivateKey of one'), 'the private key is not in the archive');
    assert.equal(statSync(join(place.directory, fetched.files.agent.path)).mode & 0o777, 0o755);
    const rootfs = await realHost.fileSize(join(place.directory, fetched.files.rootfs.path));
    assert.ok(rootfs.allocatedBytes < rootfs.bytes / 2, JSON.stringify(rootfs));
    assert.deepEqual(readdirSync(place.cacheDirectory), []);
  });

  test('a second bundle replaces the first, keeps the key, and names files that are no longer needed (2.5)', async (t) => {
    const source = temporaryDirectory(t);
    const place = placeOf(t);
    await fetchInto(place, pathToFileURL((await packagedBundle(source, 'one')).manifest).href);
    const first = place.manifest();
    const { superseded } = await fetchInto(place, pathToFileURL((await packagedBundle(source, 'two')).manifest).href);
    const second = place.manifest();
    assert.equal(second.distribution, 'debian two');
    assert.deepEqual(second.files.sshPrivateKey, first.files.sshPrivateKey);
    assert.ok(superseded.includes(join(place.directory, first.files.kernel.path)));
    assert.ok(!superseded.some((path) => path.endsWith(second.files.kernel.path)));
  });

  test('repairs a bundle with a damaged file (2.5)', async (t) => {
    const { manifest } = await packagedBundle(temporaryDirectory(t));
    const place = placeOf(t);
    await fetchInto(place, pathToFileURL(manifest).href);
    const path = join(place.directory, place.manifest().files.kernel.path);
    writeFileSync(path, readFileSync(path).fill(0x21));
    await fetchInto(place, pathToFileURL(manifest).href);
    await assertWhole(place);
  });

  test('a damaged bundle is not packaged, and a cancelled one leaves nothing (2.5, 1.4)', async (t) => {
    const root = temporaryDirectory(t);
    const bundle = makeBundle(join(root, 'bundle'), 'one');
    const path = join(root, 'out', 'b.tar.zst');
    mkdirSync(join(root, 'out'));
    const cancel = new AbortController();
    const common = { bundle, path, host: realHost, signal: cancel.signal };
    writeFileSync(join(bundle.directory, 'kernel'), 'kernel of owe');
    await assert.rejects(packageBundle({ ...common, onProgress: () => undefined }), { code: 'BUNDLE_BROKEN', message: /kernel in/ });
    await assert.rejects(packageBundle({ ...common, path: '/nowhere/b', onProgress: () => undefined }), {
      code: 'INVALID_INPUT',
      message: /cannot write \/nowhere\/b: ENOENT/,
    });
    await assert.rejects(packageBundle({ ...common, onProgress: () => cancel.abort() }), { code: 'CANCELLED' });
    assert.deepEqual(readdirSync(join(root, 'out')), []);
  });
});

describe('a mirror', () => {
  test('that breaks off is resumed, in the same call while it brings something and else in the next (2.5)', async (t) => {
    const { archive } = await packagedBundle(temporaryDirectory(t));
    const place = placeOf(t);
    const { server, manifestUrl } = await serveArchive(t, readFileSync(archive));
    server.cuts = [500, 300, 0];
    await assert.rejects(fetchInto(place, manifestUrl), { code: 'DOWNLOAD_FAILED', remedy: /continues the download/ });
    assert.ok(!existsSync(place.directory));
    server.cuts = [100];
    await fetchInto(place, manifestUrl);
    await assertWhole(place);
    assert.deepEqual(server.ranges, [undefined, 'bytes=500-', 'bytes=800-', 'bytes=800-', 'bytes=900-']);
  });

  test('that ends early as if that were all is resumed as well (2.5)', async (t) => {
    const { archive } = await packagedBundle(temporaryDirectory(t));
    const place = placeOf(t);
    const { server, manifestUrl } = await serveArchive(t, readFileSync(archive));
    server.cuts = [500];
    server.cutsQuietly = true;
    await fetchInto(place, manifestUrl);
    assert.deepEqual(server.ranges, [undefined, 'bytes=500-']);
  });

  const lies: [what: string, claims: (bytes: Buffer) => { sha256?: string; size?: number }, message: RegExp][] = [
    ['its hash', () => ({ sha256: 'f'.repeat(64) }), /its SHA-256 is [0-9a-f]{64}, not f{64}/],
    ['its size, which is more', (bytes) => ({ size: bytes.length - 1 }), /larger than \d+ bytes/],
    ['its size, which is less', (bytes) => ({ size: bytes.length + 1 }), /it has only \d+ of \d+ bytes/],
  ];
  for (const [what, claims, message] of lies) {
    test(`that lies about ${what} is refused, and the bundle stays as it was (2.5)`, async (t) => {
      const source = temporaryDirectory(t);
      const place = placeOf(t);
      await fetchInto(place, pathToFileURL((await packagedBundle(source, 'one')).manifest).href);
      const before = readdirSync(place.directory).toSorted();
      const bytes = readFileSync((await packagedBundle(source, 'two')).archive);
      const { manifestUrl } = await serveArchive(t, bytes, claims(bytes));
      await assert.rejects(fetchInto(place, manifestUrl), { code: 'DOWNLOAD_FAILED', message });
      assert.deepEqual(readdirSync(place.directory).toSorted(), before);
      assert.equal(place.manifest().distribution, 'debian one');
      await assertWhole(place);
    });
  }

  const entry = (path: string, content: string, type: 'file' | 'symlink' = 'file'): Buffer[] => {
    const body = Buffer.from(type === 'file' ? content : '');
    const linkPath = type === 'file' ? '' : content;
    return [encodeTarHeader({ path, type, mode: 0o644, sizeBytes: body.length, modifiedMs: 0, linkPath }), body, tarPadding(body.length)];
  };
  const bundleJson = (t: TestContext, change: object = {}): string => {
    const { manifest } = makeBundle(join(temporaryDirectory(t), 'b'), 'one');
    const { sshPrivateKey: _private, sshPublicKey: _public, ...files } = manifest.files;
    return JSON.stringify({ ...manifest, files, ...change });
  };
  const bad: [what: string, entries: (t: TestContext) => Buffer[], error: { code: string; message: RegExp }][] = [
    ['something else', () => entry('README', 'hello'), { code: 'DOWNLOAD_FAILED', message: /does not begin with bundle\.json/ }],
    ['nothing', () => [], { code: 'DOWNLOAD_FAILED', message: /it is empty/ }],
    ['too little', (t) => entry('bundle.json', bundleJson(t)), { code: 'DOWNLOAD_FAILED', message: /is not in it/ }],
    [
      'a file of its own choice',
      (t) => [...entry('bundle.json', bundleJson(t)), ...entry('../../escape', 'x')],
      { code: 'DOWNLOAD_FAILED', message: /escape does not belong in it/ },
    ],
    [
      'a link',
      (t) => [...entry('bundle.json', bundleJson(t)), ...entry('agent', '/etc/passwd', 'symlink')],
      { code: 'DOWNLOAD_FAILED', message: /agent is not a regular file/ },
    ],
    [
      'a part with other content',
      (t) => [...entry('bundle.json', bundleJson(t)), ...entry('agent', 'agent of owe')],
      { code: 'DOWNLOAD_FAILED', message: /agent is not what bundle\.json says/ },
    ],
    [
      'programs of another machine',
      (t) => entry('bundle.json', bundleJson(t, { architecture: process.arch === 'x64' ? 'aarch64' : 'x86_64' })),
      { code: 'UNSUPPORTED', message: /this machine is/ },
    ],
  ];
  for (const [what, entries, error] of bad) {
    test(`that gives out an archive with ${what} is refused (2.5)`, async (t) => {
      const place = placeOf(t);
      const { manifestUrl } = await serveArchive(t, zstdCompressSync(Buffer.concat([...entries(t), tarEnd()])));
      await assert.rejects(fetchInto(place, manifestUrl), error);
      assert.ok(!existsSync(place.directory));
      assert.ok(!existsSync(join(place.cacheDirectory, 'unpacked')));
    });
  }
});

describe('an interrupted fetch', () => {
  const stages = ['manifest', 'download', 'unpack', 'publish', 'agent', 'kernel', 'jailer'];
  for (const when of stages) {
    test(`killed at ${when} leaves the bundle as it was, and the next one succeeds (2.5, 9.5)`, async (t) => {
      const source = temporaryDirectory(t);
      const place = placeOf(t);
      await fetchInto(place, pathToFileURL((await packagedBundle(source, 'one')).manifest).href);
      const manifestUrl = pathToFileURL((await packagedBundle(source, 'two')).manifest).href;
      const { signal } = spawnSync(process.execPath, [PROGRAM, manifestUrl, place.directory, place.cacheDirectory, when]);
      assert.equal(signal, 'SIGKILL');
      assert.equal(place.manifest().distribution, 'debian one');
      await assertWhole(place);
      await fetchInto(place, manifestUrl);
      assert.equal(place.manifest().distribution, 'debian two');
      await assertWhole(place);
      assert.deepEqual(readdirSync(place.cacheDirectory), []);
      assert.ok(!readdirSync(place.directory).some((name) => name.includes('partial')));
    });

    test(`cancelled at ${when} says so and leaves nothing new in the bundle (1.4, 2.5)`, async (t) => {
      const source = temporaryDirectory(t);
      const place = placeOf(t);
      await fetchInto(place, pathToFileURL((await packagedBundle(source, 'one')).manifest).href);
      const before = readdirSync(place.directory).toSorted();
      const cancel = new AbortController();
      const cancelAt = (word: string): void => (word === when ? cancel.abort() : undefined);
      const { manifest } = await packagedBundle(source, 'two');
      const more = { signal: cancel.signal, onStage: cancelAt, onProgress: cancelAt };
      await assert.rejects(fetchInto(place, pathToFileURL(manifest).href, more), { code: 'CANCELLED' });
      assert.deepEqual(readdirSync(place.directory).toSorted(), before);
      await assertWhole(place);
    });
  }
});

test('a manifest has address, hash and size; relative addresses are of its own place, and a page cannot name a local file (2.5)', () => {
  const text = (url: string): string => renderPackageManifest({ url, sha256: 'a'.repeat(64), sizeBytes: 5 });
  const at = (url: string, from: string): string => parsePackageManifest(text(url), from).url;
  assert.equal(at('b.tar.zst', 'file:///srv/www/runtime-bundle.toml'), 'file:///srv/www/b.tar.zst');
  assert.equal(at('b.tar.zst', 'http://127.0.0.1/a/runtime-bundle.toml'), 'http://127.0.0.1/a/b.tar.zst');
  assert.equal(at('https://example.org/x', 'file:///m.toml'), 'https://example.org/x');
  for (const [body, message] of [
    [text('ftp://example.org/x'), /no http, https or file address/],
    [text('file:///etc/passwd'), /names a file of this machine/],
    ['url = "x"', /sha256/],
    [`${text('x')}more = 1`, /more/],
    ['url =', /Invalid TOML/],
  ] as const) {
    assert.throws(() => parsePackageManifest(body, 'http://127.0.0.1/m.toml'), { code: 'BUNDLE_BROKEN', message }, body);
  }
});

test('a manifest that is missing, or much too long, is an error (2.5)', async (t) => {
  const place = placeOf(t);
  const root = temporaryDirectory(t);
  const long = join(root, 'long.toml');
  writeFileSync(long, '#'.repeat(100_000));
  await assert.rejects(fetchInto(place, pathToFileURL(long).href), { code: 'DOWNLOAD_FAILED', message: /larger than 65536 bytes/ });
  rmSync(long);
  await assert.rejects(fetchInto(place, pathToFileURL(long).href), { code: 'DOWNLOAD_FAILED', message: /ENOENT/ });
});
