// A repository on loopback, with everything that can be wrong with one.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tarOf } from '../../../test/support/images/container-image.ts';
import {
  indexOf,
  type MadePackage,
  newSigner,
  packageOf,
  serveDirectory,
  sign,
  type Signer,
  writeRepository,
} from '../../../test/support/images/void-repository.ts';
import { realHost } from '../../host/host.ts';
import { checkSizes, fetchPackages, fetchRepository, type Mirror } from './fetch-packages.ts';
import { type Plist, renderPlist } from './plist.ts';
import { parseKey, type TrustedKey } from './signature.ts';

const signer = newSigner();
const PACKAGES = ['a-1.0_1', 'b-2.0_1', 'c-3.0_1', 'd-4.0_1', 'e-5.0_1', 'f-6.0_1'].map((pkgver) =>
  packageOf({ pkgver, files: [{ path: `./usr/share/${pkgver}`, body: pkgver.repeat(1000) }] }),
);

type Place = Mirror & { served: string; asked: string[]; cached(): string[] };

async function mirrorFor(t: TestContext, packages: readonly MadePackage[] = PACKAGES, by: Signer = signer): Promise<Place> {
  const root = mkdtempSync(join(tmpdir(), 'bgr-void-'));
  const served = writeRepository(join(root, 'served'), packages, by);
  const server = await serveDirectory(served);
  t.after(async () => {
    await server.close();
    rmSync(root, { recursive: true });
  });
  const key = parseKey(Buffer.from(signer.pem)) as TrustedKey;
  const cacheDirectory = join(root, 'cache');
  await realHost.makePrivateDirectory(cacheDirectory);
  const keys = new Map([[key.sha256, key]]);
  const { url, asked } = server;
  const signal = new AbortController().signal;
  return { url, cacheDirectory, keys, host: realHost, signal, served, asked, cached: () => readdirSync(cacheDirectory).toSorted() };
}

async function fetchAll(mirror: Mirror): Promise<string[]> {
  const { key, packages } = await fetchRepository(mirror);
  return fetchPackages(mirror, key, [...packages.values()], () => undefined);
}

test('packages come in order, each once, and are kept for the next time (8.7)', async (t) => {
  const mirror = await mirrorFor(t);
  const { key, packages } = await fetchRepository(mirror);
  const told: number[] = [];
  const paths = await fetchPackages(mirror, key, [...packages.values()], (_one, done) => void told.push(done));
  assert.deepEqual(told, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(
    paths,
    [...packages.values()].map(({ sha256 }) => join(mirror.cacheDirectory, `${sha256}.xbps`)),
  );
  assert.equal(mirror.asked.length, 1 + 2 * PACKAGES.length);
  assert.deepEqual(await fetchAll(mirror), paths);
  assert.equal(mirror.asked.length, 2 + 2 * PACKAGES.length);
});

test('an index compressed by zstd or not at all is read as well (8.7)', async (t) => {
  const mirror = await mirrorFor(t);
  const tar = tarOf([
    { path: 'index.plist', body: renderPlist(new Map()) },
    { path: 'index-meta.plist', body: renderPlist(new Map([['public-key', Buffer.from(signer.pem)]])) },
    { path: 'stage.plist', body: '' },
  ]);
  for (const bytes of [tar, zstdCompressSync(tar), gzipSync(tar)]) {
    writeFileSync(join(mirror.served, 'x86_64-repodata'), bytes);
    assert.equal((await fetchRepository(mirror)).packages.size, 0);
  }
});

test('an error about a missing or foreign mirror names its setting (8.7)', async (t) => {
  const mirror = await mirrorFor(t);
  const index = join(mirror.served, 'x86_64-repodata');
  const tar = (...paths: string[]): Buffer => gzipSync(tarOf(paths.map((path) => ({ path, body: renderPlist(new Map()) }))));
  const meta = (body: string): Buffer =>
    gzipSync(
      tarOf([
        { path: 'index.plist', body: '' },
        { path: 'index-meta.plist', body },
      ]),
    );
  const wrong: [Buffer, RegExp][] = [
    [Buffer.from('<html>Not found</html>'), /index is damaged/],
    [indexOf(PACKAGES, signer).subarray(0, 300), /index(: | is )/],
    [tar('other.plist'), /is malformed/],
    [tar('../../etc/passwd'), /is malformed/],
    [tar('index.plist', 'index.plist'), /is malformed/],
    [tar('stage.plist'), /no index\.plist/],
    [meta(''), /not signed/],
    [meta('DEADBEEF'), /not signed/],
    [meta(renderPlist(new Map())), /which key signs it/],
    [meta(renderPlist(new Map([['public-key', Buffer.from('no key')]]))), /cannot be read/],
    [meta('<plist'), /index is damaged/],
  ];
  for (const [bytes, reason] of wrong) {
    writeFileSync(index, bytes);
    await assert.rejects(fetchRepository(mirror), { code: 'DOWNLOAD_FAILED', message: reason }, String(reason));
  }
  rmSync(index);
  await assert.rejects(fetchRepository(mirror), { code: 'DOWNLOAD_FAILED', message: /404/, remedy: /void\.mirror/ });
  await assert.rejects(fetchRepository({ ...mirror, url: 'http://127.0.0.1:1' }), { code: 'DOWNLOAD_FAILED', remedy: /void\.mirror/ });
  assert.deepEqual(mirror.cached(), []);
});

test('an entry of the index that no index has is no package (8.7)', async (t) => {
  const mirror = await mirrorFor(t);
  const wrong: [change: (entry: Map<string, Plist>) => void, RegExp][] = [
    [(one) => one.set('pkgver', 'other-1_1'), /"a" that it is "other-1_1"/],
    [(one) => one.set('pkgver', '../../etc-1_1'), /says of "a"/],
    [(one) => one.delete('filename-sha256'), /no SHA-256/],
    [(one) => one.set('filename-sha256', '../'.repeat(22).slice(0, 64)), /no SHA-256/],
    [(one) => one.set('filename-size', -1), /no size/],
    [(one) => one.set('architecture', '../x'), /is for "\.\.\/x"/],
    [(one) => one.set('run_depends', 'glibc'), /no list of run_depends/],
    [(one) => one.set('alternatives', []), /no alternatives/],
  ];
  for (const [change, reason] of wrong) {
    writeFileSync(join(mirror.served, 'x86_64-repodata'), indexOf(PACKAGES.slice(0, 1), signer, change));
    const { packages, unusable } = await fetchRepository(mirror);
    assert.equal(packages.size, 0, String(reason));
    assert.match(unusable.get('a')?.message ?? '', reason);
  }
});

test('a bomb in place of an index is stopped (8.7)', async (t) => {
  const mirror = await mirrorFor(t);
  writeFileSync(join(mirror.served, 'x86_64-repodata'), zstdCompressSync(Buffer.alloc(600 * 1024 ** 2)));
  await assert.rejects(fetchRepository(mirror), { code: 'DOWNLOAD_FAILED', message: /grows to more than 200 times|holds more than/ });
});

test('an unknown key is refused, whatever owner it names (8.7)', async (t) => {
  const mirror = await mirrorFor(t, PACKAGES, newSigner());
  await assert.rejects(fetchRepository(mirror), {
    code: 'DOWNLOAD_FAILED',
    message: /signed by "banger tests" with a key that is not known here \(SHA-256 [0-9a-f]{64}\)/,
    remedy: /void\.keys/,
  });
});

test('a package with a signature of another key, or of another package, is refused and not kept (8.7)', async (t) => {
  const mirror = await mirrorFor(t);
  const path = join(mirror.served, 'c-3.0_1.x86_64.xbps.sig2');
  const [, b, c] = PACKAGES.map(({ bytes }) => bytes);
  assert.ok(b !== undefined && c !== undefined);
  for (const signature of [sign(c, newSigner()), sign(b, signer), Buffer.alloc(256), Buffer.alloc(0)]) {
    writeFileSync(path, signature);
    await assert.rejects(fetchAll(mirror), { code: 'DOWNLOAD_FAILED', message: /the signature of c-3\.0_1 is not by the key/ });
  }
  writeFileSync(path, Buffer.alloc(5000));
  await assert.rejects(fetchAll(mirror), { code: 'DOWNLOAD_FAILED', message: /larger than 2048 bytes/ });
  rmSync(path);
  await assert.rejects(fetchAll(mirror), { code: 'DOWNLOAD_FAILED', message: /404/ });
  writeFileSync(path, sign(c, signer));
  await fetchAll(mirror);
});

test('a package that is another, larger, shorter or missing is refused (8.7)', async (t) => {
  const mirror = await mirrorFor(t);
  const [first] = PACKAGES;
  const path = join(mirror.served, 'a-1.0_1.x86_64.xbps');
  const bytes = first?.bytes ?? Buffer.alloc(0);
  const changed = Buffer.from(bytes);
  changed[20] = (changed[20] ?? 0) ^ 1;
  const wrong: [Buffer, RegExp][] = [
    [changed, /has the wrong content: its SHA-256/],
    [Buffer.concat([bytes, Buffer.alloc(1)]), new RegExp(`larger than ${bytes.length} bytes`)],
    [bytes.subarray(0, 100), new RegExp(`only 100 of ${bytes.length} bytes`)],
  ];
  for (const [content, reason] of wrong) {
    writeFileSync(path, content);
    await assert.rejects(fetchAll(mirror), { code: 'DOWNLOAD_FAILED', message: reason });
    rmSync(mirror.cacheDirectory, { recursive: true });
    await realHost.makePrivateDirectory(mirror.cacheDirectory);
  }
  rmSync(path);
  await assert.rejects(fetchAll(mirror), { code: 'DOWNLOAD_FAILED', message: /404/ });
  writeFileSync(path, bytes);
  // What is in the cache is known by its content; an index that lies about its size is told so all the same.
  await fetchAll(mirror);
  writeFileSync(
    join(mirror.served, 'x86_64-repodata'),
    indexOf(PACKAGES, signer, (entry) => entry.set('filename-size', 1)),
  );
  await assert.rejects(fetchAll(mirror), { code: 'DOWNLOAD_FAILED', message: /another size than the index says/ });
});

test('packages that are too large by the index are refused before any download (8.7)', async (t) => {
  const mirror = await mirrorFor(t);
  const { packages } = await fetchRepository(mirror);
  const all = [...packages.values()];
  const [one] = all;
  assert.ok(one !== undefined);
  await checkSizes(all, mirror);
  await assert.rejects(checkSizes([{ ...one, sizeBytes: 2 * 1024 ** 3 }], mirror), {
    code: 'DOWNLOAD_FAILED',
    message: /said to have 2 GiB/,
  });
  const many = Array.from({ length: 20 }, () => ({ ...one, sizeBytes: 1024 ** 3 }));
  await assert.rejects(checkSizes(many, mirror), { code: 'DOWNLOAD_FAILED', message: /the packages are said to have 20 GiB/ });
  const full = { ...mirror, host: { ...realHost, freeBytes: () => Promise.resolve(1000) } };
  await assert.rejects(checkSizes(all, full), { code: 'NO_SPACE', remedy: /BANGER_CACHE_DIR/ });
  assert.deepEqual(mirror.asked, ['x86_64-repodata']);
});

test('a cancelled fetch ends at once, and the next one continues (8.7, 1.4)', async (t) => {
  const mirror = await mirrorFor(t);
  const { key, packages } = await fetchRepository(mirror);
  const cancel = new AbortController();
  const fetching = fetchPackages({ ...mirror, signal: cancel.signal }, key, [...packages.values()], (_one, done) => {
    if (done === 2) cancel.abort();
  });
  await assert.rejects(fetching);
  const before = mirror.asked.length;
  await fetchAll(mirror);
  assert.ok(mirror.asked.length - before < 2 * PACKAGES.length, `${mirror.asked.length - before} of ${2 * PACKAGES.length}`);
});
