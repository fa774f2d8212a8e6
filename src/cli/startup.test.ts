import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { answer, startStubDaemon, type StubDaemon, stubVm } from '../../test/support/daemon/stub-daemon.ts';
import { bundleOptions, CLI_ENTRY } from '../../tools/build.ts';

const run = promisify(execFile);
const ROOT = `${import.meta.dirname}/../..`;
/** Minified, so that comments cost nothing. Grows only on purpose. */
const MAX_BUNDLE_BYTES = 262_000;

let base: string;
let stub: StubDaemon;
before(async () => {
  base = mkdtempSync(`${tmpdir()}/banger-startup-`);
  const options = bundleOptions(ROOT, { name: 'banger', entry: CLI_ENTRY }, { version: '1.2.3', build: 'stub', inputs: '' });
  await build({ ...options, minify: true, write: true, outfile: `${base}/banger.cjs` });
  const report = 'process.on("exit", () => require("node:fs").writeFileSync(process.env.LOADED_TO, process.moduleLoadList.join("\\n")))';
  writeFileSync(`${base}/report.cjs`, report);
  stub = await startStubDaemon({ build: 'stub', routes: { 'GET /v1/vms': answer([stubVm('web', 'aa')]) } });
});
after(async () => {
  await stub.close();
  rmSync(base, { recursive: true });
});

async function loadedBy(argv: string[]): Promise<{ stdout: string; loaded: string[] }> {
  const env = { ...stub.env, LOADED_TO: `${base}/loaded` };
  const { stdout } = await run(process.execPath, ['--require', `${base}/report.cjs`, `${base}/banger.cjs`, ...argv], { env });
  return { stdout, loaded: readFileSync(`${base}/loaded`, 'utf8').split('\n') };
}

test('a listing loads nothing that costs time: no http, TLS, fetch or zod (1.7)', async () => {
  const { stdout, loaded } = await loadedBy(['vm', 'ls', '-q']);
  assert.equal(stdout, 'web\n');
  assert.ok(loaded.includes('NativeModule net'));
  for (const name of ['http', 'https', '_http_client', 'tls', '_tls_wrap', 'internal/deps/undici/undici', 'sqlite', 'crypto', 'readline']) {
    assert.ok(!loaded.includes(`NativeModule ${name}`), `${name} is loaded`);
  }
});

test('the bundle carries its version and stays small (2.6)', async () => {
  assert.match((await loadedBy(['--version'])).stdout, /^1\.2\.3\n$/);
  const { size } = statSync(`${base}/banger.cjs`);
  assert.ok(size < MAX_BUNDLE_BYTES, `${size} bytes`);
});
