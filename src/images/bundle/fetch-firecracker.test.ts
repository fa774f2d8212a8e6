import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { releaseArchive, releaseEntries, sayingProgram, serveRelease } from '../../../test/support/outside/release-fixture.ts';
import { realHost } from '../../host/host.ts';
import { BUNDLE_PARTS, type BundleManifest } from '../../model/image.ts';
import { addPrograms, keptPrograms } from './add-programs.ts';
import { bundleStatus } from './bundle-status.ts';
import { fetchFirecracker } from './fetch-firecracker.ts';
import { parseManifest } from './manifest.ts';
import { parseReleasePin, RELEASE_PIN, type Release } from './release.ts';

type Place = { directory: string; cacheDirectory: string; manifest: () => BundleManifest };

/** @returns a bundle without added programs, and a cache */
function placeOf(t: TestContext): Place {
  const root = mkdtempSync(join(tmpdir(), 'banger-release-'));
  t.after(() => rmSync(root, { recursive: true }));
  const directory = join(root, 'bundle');
  mkdirSync(directory);
  for (const part of BUNDLE_PARTS) writeFileSync(join(directory, part), 'data');
  const file = { sizeBytes: 4, sha256: '0'.repeat(64) };
  const path = join(directory, 'bundle.json');
  const manifest = {
    ...{ formatVersion: 1, architecture: 'x86_64', distribution: 'debian bookworm', kernelVersion: '6.1.0' },
    ...{ builtAt: '2026-01-02T03:04:05Z', inputsHash: '0'.repeat(64), packages: [], packagesHash: '0'.repeat(64) },
    files: Object.fromEntries(BUNDLE_PARTS.map((part) => [part, { ...file, path: part }])),
  };
  writeFileSync(path, JSON.stringify(manifest));
  return { directory, cacheDirectory: join(root, 'cache'), manifest: () => parseManifest(readFileSync(path, 'utf8'), path) };
}

function fetchInto(place: Place, release: Release): Promise<void> {
  const signal = new AbortController().signal;
  return fetchFirecracker({ ...place, release, host: realHost, signal, onStage: () => undefined, onProgress: () => undefined });
}

const ARCHIVE = releaseArchive(releaseEntries('1.16.1'));

describe('fetching Firecracker', () => {
  test('puts both programs into the bundle with version and checksum, and nothing else of the archive anywhere (2.5)', async (t) => {
    const place = placeOf(t);
    const { url } = await serveRelease(t, ARCHIVE.bytes);
    await fetchInto(place, { url, sha256: ARCHIVE.sha256, sizeBytes: ARCHIVE.bytes.length });
    const { firecracker, jailer } = place.manifest().files;
    for (const file of [firecracker, jailer]) {
      assert.ok(file !== undefined);
      assert.equal(file.version, '1.16.1');
      assert.equal(await realHost.sha256File(join(place.directory, file.path)), file.sha256);
      assert.equal(statSync(join(place.directory, file.path)).mode & 0o777, 0o755);
    }
    const added = readdirSync(place.directory).filter((name) => !['bundle.json', ...BUNDLE_PARTS].includes(name));
    assert.deepEqual(new Set(added), new Set([firecracker?.path, jailer?.path]));
    assert.deepEqual(readdirSync(place.cacheDirectory), [`firecracker-${ARCHIVE.sha256.slice(0, 12)}.tgz`]);
    const places = { besideProgram: place.directory, checkout: null };
    const { problems, files } = await bundleStatus({ places, sourceRoot: null, host: realHost });
    assert.deepEqual(
      [problems, files.filter(({ version }) => version === '1.16.1').map(({ part }) => part)],
      [[], ['firecracker', 'jailer']],
    );
  });

  test('from a file works the same, and a second time nothing is fetched (2.5)', async (t) => {
    const place = placeOf(t);
    const source = join(place.directory, '..', 'release.tgz');
    writeFileSync(source, ARCHIVE.bytes);
    await fetchInto(place, { url: pathToFileURL(source).href, sha256: ARCHIVE.sha256 });
    rmSync(source);
    await fetchInto(place, { url: pathToFileURL(source).href, sha256: ARCHIVE.sha256 });
    assert.equal(place.manifest().files.jailer?.version, '1.16.1');
  });

  for (const ignoresRange of [false, true]) {
    test(`continues where a broken connection ended${ignoresRange ? ', anew where the server cannot' : ''} (2.5)`, async (t) => {
      const place = placeOf(t);
      const server = await serveRelease(t, ARCHIVE.bytes);
      const release = { url: server.url, sha256: ARCHIVE.sha256 };
      server.cuts = [700, 0];
      await assert.rejects(fetchInto(place, release), { code: 'DOWNLOAD_FAILED', remedy: /continues/ });
      assert.equal(place.manifest().files.firecracker, undefined);
      server.ignoresRange = ignoresRange;
      await fetchInto(place, release);
      assert.deepEqual(server.ranges, [undefined, 'bytes=700-', 'bytes=700-']);
      assert.equal(place.manifest().files.firecracker?.version, '1.16.1');
    });
  }

  test('refuses another content, changes nothing, and begins anew the next time (2.5)', async (t) => {
    const place = placeOf(t);
    const server = await serveRelease(t, ARCHIVE.bytes);
    const before = JSON.stringify(place.manifest());
    const wrong = { url: server.url, sha256: 'f'.repeat(64) };
    await assert.rejects(fetchInto(place, wrong), { code: 'DOWNLOAD_FAILED', message: new RegExp(`SHA-256 is ${ARCHIVE.sha256}`) });
    await assert.rejects(fetchInto(place, wrong), { code: 'DOWNLOAD_FAILED' });
    assert.deepEqual(server.ranges, [undefined, undefined]);
    assert.equal(JSON.stringify(place.manifest()), before);
    assert.deepEqual(readdirSync(place.cacheDirectory), []);
  });

  test('asks for a bundle first, before anything is fetched (2.5)', async (t) => {
    const place = placeOf(t);
    const server = await serveRelease(t, ARCHIVE.bytes);
    rmSync(join(place.directory, 'bundle.json'));
    await assert.rejects(fetchInto(place, { url: server.url, sha256: ARCHIVE.sha256 }), {
      code: 'BUNDLE_MISSING',
      remedy: 'banger bundle build',
    });
    assert.deepEqual(server.ranges, []);
  });

  test('stops at the size that was promised, and at an address that is not there (2.5)', async (t) => {
    const place = placeOf(t);
    const { url } = await serveRelease(t, ARCHIVE.bytes);
    const release = { url, sha256: ARCHIVE.sha256, sizeBytes: 100 };
    await assert.rejects(fetchInto(place, release), { code: 'DOWNLOAD_FAILED', message: /larger than 100 bytes/ });
    await assert.rejects(fetchInto(place, { url: `${url}.old`, sha256: 'e'.repeat(64) }), { message: /answered 404/ });
  });

  const bad: [title: string, entries: Parameters<typeof releaseArchive>[0], message: RegExp][] = [
    ['without a jailer', releaseEntries('1.16.1').slice(0, 3), /no jailer/],
    ['whose jailer is of another version', releaseEntries('1.16.1', '1.15.0'), /jailer 1\.15\.0 does not match firecracker 1\.16\.1/],
    ['with a program twice', [...releaseEntries('1.16.1'), ...releaseEntries('1.16.1')], /there twice/],
    [
      'whose program is a link',
      [{ path: 'release-v1.16.1-x86_64/firecracker-v1.16.1-x86_64', content: '', type: 'symlink', linkPath: '/bin/sh' }],
      /not a regular file/,
    ],
  ];
  for (const [title, entries, message] of bad) {
    test(`refuses an archive ${title} (2.5)`, async (t) => {
      const place = placeOf(t);
      const { bytes, sha256 } = releaseArchive(entries);
      const { url } = await serveRelease(t, bytes);
      await assert.rejects(fetchInto(place, { url, sha256 }), { message });
      assert.equal(place.manifest().files.firecracker, undefined);
      assert.ok(readdirSync(place.cacheDirectory).every((name) => !name.includes('unpacked')));
    });
  }
});

describe('a path that the user gives', () => {
  const signal = new AbortController().signal;
  const programAt = (place: Place, name: string, text: string): string => {
    const path = join(place.directory, '..', name);
    writeFileSync(path, text, { mode: 0o755 });
    return path;
  };

  test('is copied; the jailer may be absent, and one of another version does not stay (2.5)', async (t) => {
    const place = placeOf(t);
    const add = (version: string, withJailer: boolean): Promise<void> => {
      const firecracker = programAt(place, 'f', sayingProgram('Firecracker', version));
      const programs = withJailer ? { firecracker, jailer: programAt(place, 'j', sayingProgram('Jailer', version)) } : { firecracker };
      return addPrograms({ directory: place.directory, programs, host: realHost, signal });
    };
    await add('1.15.0', true);
    assert.equal(place.manifest().files.jailer?.version, '1.15.0');
    await add('1.15.0', false);
    assert.equal(place.manifest().files.jailer?.version, '1.15.0');
    await add('1.16.1', false);
    assert.deepEqual([place.manifest().files.firecracker?.version, place.manifest().files.jailer], ['1.16.1', undefined]);
    assert.deepEqual(Object.keys(await keptPrograms(place.directory, realHost)), ['firecracker'], 'the next build keeps it');
    writeFileSync(join(place.directory, place.manifest().files.firecracker?.path ?? ''), 'damaged');
    assert.deepEqual(await keptPrograms(place.directory, realHost), {});
  });

  test('to another program, or into no bundle, is refused (2.5)', async (t) => {
    const place = placeOf(t);
    const programs = { firecracker: programAt(place, 'sh', sayingProgram('GNU bash', '5.2')) };
    await assert.rejects(addPrograms({ directory: place.directory, programs, host: realHost, signal }), {
      code: 'PREREQUISITE_MISSING',
      message: /is not a firecracker that runs here: GNU bash v5\.2/,
    });
    rmSync(join(place.directory, 'bundle.json'));
    await assert.rejects(addPrograms({ directory: place.directory, programs, host: realHost, signal }), { code: 'BUNDLE_MISSING' });
  });
});

test('the pin of the repository names a whole release for both architectures; a damaged one is refused (2.5)', () => {
  const text = readFileSync(join(import.meta.dirname, '../../..', RELEASE_PIN), 'utf8');
  const version = /^version = "([\d.]+)"$/m.exec(text)?.[1] ?? 'none';
  for (const [architecture, name] of [
    ['x64', 'x86_64'],
    ['arm64', 'aarch64'],
  ] as const) {
    const { url, sha256 } = parseReleasePin(text, RELEASE_PIN, architecture);
    assert.ok(url.endsWith(`/v${version}/firecracker-v${version}-${name}.tgz`), url);
    assert.match(sha256, /^[0-9a-f]{64}$/);
  }
  assert.throws(() => parseReleasePin(text, RELEASE_PIN, 'riscv64'), { code: 'UNSUPPORTED' });
  assert.throws(() => parseReleasePin(text.replace(/^sha256.*$/m, ''), RELEASE_PIN, 'x64'), {
    code: 'BUNDLE_BROKEN',
    message: /x86_64\.sha256/,
  });
});
