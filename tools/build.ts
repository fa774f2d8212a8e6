// Builds the programs: Bun compiles the CLI, the others are bundled for Node. The package depends on nothing but that Node.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildOptions } from 'esbuild';
import { buildClient } from './client-package.ts';
import { withoutUnused } from './bundle-plugins.ts';
import { compileProgram } from './compile-program.ts';
import { LOADER_TEXT, programFile } from './program-file.ts';
import { readSources } from './source-tree.ts';

/** A program of the package that runs on Node. */
export type Program = { name: string; entry: string };

export const CLI_ENTRY = 'src/cli/main.ts';

export const PROGRAMS: readonly Program[] = [
  { name: 'bangerd', entry: 'src/daemon/main.ts' },
  { name: 'http-front', entry: 'src/http/front-process.ts' },
];

/** What decides whether to build, and the version that the programs print. */
export type BuildIdentity = { version: string; build: string; inputs: string };

/**
 * @param root absolute path of the repository
 * @returns version of package.json; `build`, 12 hex digits over the version and every source but tests; `inputs`, over everything that
 * affects the output, including the locked packages and this tool
 */
export function identityOf(root: string): BuildIdentity {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const sources = createHash('sha256').update(manifest.version);
  for (const file of readSources(root, ['src'], [])) {
    if (!file.path.endsWith('.test.ts')) sources.update(`\0${file.path}\0${file.text}`);
  }
  const build = sources.digest('hex').slice(0, 12);
  const inputs = createHash('sha256').update(build);
  for (const file of readSources(root, ['native/agent/src', 'native/agent/host', 'native/common', 'native/launcher'], []))
    inputs.update(`\0${file.path}\0${file.text}`);
  for (const path of ['package-lock.json', 'tsconfig.json']) inputs.update(readFileSync(join(root, path)));
  for (const tool of [
    'docs/main.ts',
    'docs/markdown.ts',
    'docs/reference.ts',
    'docs/config-keys.ts',
    'docs/roff.ts',
    'build.ts',
    'client-package.ts',
    'client-types.json',
    'compile-program.ts',
    'bundle-plugins.ts',
    'program-file.ts',
    'train-program.ts',
  ])
    inputs.update(readFileSync(join(import.meta.dirname, tool)));
  return { version: manifest.version, build, inputs: inputs.digest('hex') };
}

/** @returns whether `dist` has every program, made from exactly these inputs */
export function isUpToDate(root: string, identity: BuildIdentity): boolean {
  try {
    statSync(join(root, 'dist/banger'));
    for (const { name } of PROGRAMS) for (const ending of ['cjs', 'app']) statSync(join(root, 'dist', `${name}.${ending}`));
    return readFileSync(join(root, 'dist', 'inputs'), 'utf8') === identity.inputs;
  } catch {
    // It is missing or unreadable: build it again.
    return false;
  }
}

/** @returns esbuild's options for one program. In a bundle, `import.meta.dirname` is the directory of the bundle. */
export function bundleOptions(root: string, program: Program, identity: BuildIdentity): BuildOptions & { write: false } {
  return {
    absWorkingDir: root,
    entryPoints: [program.entry],
    outfile: `dist/${program.name}.cjs`,
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
    // A smaller file starts sooner and takes less memory; the daemon keeps its names for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    // Each import() becomes a require, because the loader's script cannot load modules.
    supported: { 'dynamic-import': false },
    logLevel: 'warning',
    banner: { js: "const bangerBundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    define: {
      BANGER_BUILD: JSON.stringify(identity.build),
      BANGER_VERSION: JSON.stringify(identity.version),
      'import.meta.url': 'bangerBundleUrl',
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
    },
    plugins: [withoutUnused],
  };
}

/** Writes dist/. A program that starts meanwhile finds the old file or the new one, never half of one. */
export async function buildPrograms(root: string, identity: BuildIdentity): Promise<string[]> {
  const esbuild = await import('esbuild');
  const made = await Promise.all(PROGRAMS.map((program) => esbuild.build(bundleOptions(root, program, identity))));
  const dist = join(root, 'dist');
  mkdirSync(dist, { recursive: true });
  rmSync(join(dist, 'inputs'), { force: true });
  const lines = made.map(({ outputFiles }, at) => {
    const { name } = PROGRAMS[at] as Program;
    const bundle = outputFiles[0]?.contents ?? new Uint8Array();
    const file = programFile(bundle);
    replaceFile(join(dist, `${name}.app`), file);
    replaceFile(join(dist, `${name}.cjs`), LOADER_TEXT);
    return `dist/${name}.app  ${Math.round(file.length / 1024)} KiB, ${Math.round(bundle.length / 1024)} of it source`;
  });
  const size = compileProgram(root, CLI_ENTRY, join(dist, 'banger'), identity);
  writeFileSync(join(dist, 'inputs'), identity.inputs);
  return [`dist/banger  ${Math.round(size / 1024)} KiB, Bun with it`, ...lines];
}

/** The launcher of the CLI. */
export const LAUNCHER: NativeProgram = { folder: 'native/launcher', target: 'all', made: 'banger', path: 'bin/banger' };

/** What `vm cp` runs on this machine. */
const COPY: NativeProgram = { folder: 'native/agent', target: 'copy', made: 'banger-copy', path: 'dist/banger-copy' };

/** A program in C beside the CLI: the target of make(1) that gives the file `made` in build/, and where that belongs. */
type NativeProgram = { folder: string; target: string; made: string; path: string };

/** make(1) knows when to build it. */
export function buildNativeProgram(root: string, { folder, target, made, path }: NativeProgram): void {
  execFileSync('make', ['-s', '-C', join(root, folder), target], { stdio: ['ignore', 'ignore', 'inherit'] });
  replaceFile(join(root, path), readFileSync(join(root, folder, 'build', made)), 0o755);
}

function replaceFile(path: string, content: string | Uint8Array, mode = 0o644): void {
  writeFileSync(`${path}.partial`, content, { mode });
  renameSync(`${path}.partial`, path);
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const identity = identityOf(root);
  if (
    isUpToDate(root, identity) &&
    ['dist/completions', 'dist/client.mjs', COPY.path, LAUNCHER.path].every((path) => existsSync(join(root, path)))
  )
    console.log(`build: up to date (${identity.version}, ${identity.build})`);
  else {
    try {
      for (const line of await buildPrograms(root, identity)) console.log(line);
      const { writeDistDocs } = await import('./docs/main.ts');
      await writeDistDocs(join(root, 'dist'), identity.version);
      await buildClient(root, identity);
      for (const program of [COPY, LAUNCHER]) buildNativeProgram(root, program);
      console.log(`build: ${identity.version}, ${identity.build}`);
    } catch (error) {
      // esbuild has printed all its errors with their positions already.
      console.error(`build: failed${error instanceof Error && !('errors' in error) ? `: ${error.message}` : ''}`);
      process.exitCode = 1;
    }
  }
}
