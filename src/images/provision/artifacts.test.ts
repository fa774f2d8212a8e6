import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { realHost } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { type Artifact, fetchArtifact, parseArtifacts } from './artifacts.ts';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'banger-artifacts-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const options = (cacheDirectory: string, more: Partial<Parameters<typeof fetchArtifact>[2]> = {}) => ({
  ...{ host: realHost, cacheDirectory, npmRegistry: undefined, gitMirror: '', onLine: () => undefined },
  signal: new AbortController().signal,
  ...more,
});

const hasCode = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof BangerError && error.code === code && text.test(`${error.message} ${error.remedy}`);

/** A repository as a mirror has it. @returns its commit */
async function makeRepository(mirror: string): Promise<string> {
  const path = join(mirror, 'owner', 'plugin');
  mkdirSync(path, { recursive: true });
  const git = (...argv: string[]) =>
    realHost.run(['git', '-C', path, '-c', 'user.name=n', '-c', 'user.email=e@example.org', '-c', 'commit.gpgsign=false', ...argv]);
  await git('init', '--quiet');
  writeFileSync(join(path, 'plugin.tmux'), 'echo plugin\n');
  await git('add', '.');
  await git('commit', '--quiet', '--message', 'first');
  return (await git('rev-parse', 'HEAD')).stdout.trim();
}

test('a git archive comes from the mirror that is set, by its commit, and is kept (8.4)', async (t) => {
  const root = directory(t);
  const version = await makeRepository(join(root, 'mirror'));
  const artifact: Artifact = { git: 'owner/plugin', version };
  const gitMirror = `file://${join(root, 'mirror')}/`;
  const path = await fetchArtifact('plugin', artifact, options(root, { gitMirror }));
  assert.match((await realHost.run(['tar', '-t', '-f', path])).stdout, /^plugin\.tmux$/m);
  rmSync(join(root, 'mirror'), { recursive: true });
  assert.equal(await fetchArtifact('plugin', artifact, options(root, { gitMirror })), path);
  const other = { ...artifact, version: '0'.repeat(40) };
  await assert.rejects(fetchArtifact('plugin', other, options(root, { gitMirror })), hasCode('DOWNLOAD_FAILED', /provision\.git_mirror/));
  assert.deepEqual(readdirSync(root), [`plugin-${version}`]);
});

/** A registry that offers one package; everything but its tarball is what `npm` asks for. */
async function serveRegistry(t: TestContext, tarball: Buffer): Promise<string> {
  const server = createServer((request, response) => {
    const base = `http://${request.headers.host}`;
    if (request.url?.endsWith('.tgz') === true) return void response.end(tarball);
    const dist = { tarball: `${base}/tool/-/tool-1.0.0.tgz`, integrity: integrityOf(tarball) };
    const manifest = { name: 'tool', version: '1.0.0', dist };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: 'tool', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': manifest } }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

const integrityOf = (bytes: Buffer): string => `sha512-${createHash('sha512').update(bytes).digest('base64')}`;

test('an npm package matches its integrity hash or is refused, whatever the registry says (8.4)', async (t) => {
  const root = directory(t);
  mkdirSync(join(root, 'package'));
  writeFileSync(join(root, 'package', 'package.json'), '{"name":"tool","version":"1.0.0"}');
  await realHost.run(['tar', '-c', '-z', '-f', join(root, 'tool.tgz'), '-C', root, 'package']);
  const tarball = readFileSync(join(root, 'tool.tgz'));
  const npmRegistry = await serveRegistry(t, tarball);
  const cache = join(root, 'cache');
  mkdirSync(cache);
  // npm's own cache is the user's; what is in it must not decide.
  const host = {
    ...realHost,
    run: (argv: readonly string[], run?: Parameters<typeof realHost.run>[1]) =>
      realHost.run(argv[0] === 'npm' ? [...argv, '--cache', join(root, 'npm')] : argv, run),
  };
  const artifact: Artifact = { npm: 'tool', version: '1.0.0', integrity: integrityOf(tarball) };
  const path = await fetchArtifact('tool', artifact, options(cache, { npmRegistry, host }));
  assert.deepEqual(readFileSync(path), tarball);
  const forged = { ...artifact, integrity: integrityOf(Buffer.from('other')) };
  await assert.rejects(
    fetchArtifact('forged', forged, options(cache, { npmRegistry, host })),
    hasCode('DOWNLOAD_FAILED', /has the wrong content/),
  );
  writeFileSync(path, 'damaged');
  assert.deepEqual(readFileSync(await fetchArtifact('tool', artifact, options(cache, { npmRegistry, host }))), tarball);
  await assert.rejects(
    fetchArtifact('gone', { ...artifact, npm: 'tool', version: '2.0.0' }, options(cache, { npmRegistry, host })),
    hasCode('DOWNLOAD_FAILED', /provision\.npm_registry/),
  );
  assert.deepEqual(readdirSync(cache), ['tool-1.0.0']);
});

test('a client that is not installed is named with its package (9.2)', async (t) => {
  const root = directory(t);
  const host = { ...realHost, run: () => Promise.reject(Object.assign(new Error('no'), { startError: 'ENOENT' })) };
  const artifact: Artifact = { git: 'owner/plugin', version: '0'.repeat(40) };
  await assert.rejects(fetchArtifact('x', artifact, options(root, { host })), hasCode('PREREQUISITE_MISSING', /sudo apt-get install git/));
});

test('a pin without a whole hash is no pin (8.4)', () => {
  for (const text of ['[a]\nnpm = "a"\nversion = "1.0.0"', '[a]\ngit = "a/b"\nversion = "master"', '[a]\ngit = "../b"\nversion = "x"']) {
    assert.throws(() => parseArtifacts(text), text);
  }
});
