// Compiles the CLI into one program: Bun, the bundle and its bytecode in one file that needs no other
// (docs/adr/0013-cli-compiled-by-bun.md).
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildIdentity } from './build.ts';

/** The builds of Bun by Node's names of architectures. The one for x64 runs on processors without AVX2, too. */
const BUN_PACKAGES: Readonly<Record<string, string>> = { x64: '@oven/bun-linux-x64-baseline', arm64: '@oven/bun-linux-aarch64' };

/**
 * No file in the caller's directory may affect the program: Bun would read these there on each start. The last two are its default; they
 * are stated to be sure.
 */
const WITHOUT_AUTOLOAD = ['dotenv', 'bunfig', 'tsconfig', 'package-json'].map((name) => `--no-compile-autoload-${name}`);

/**
 * How many times as often as usual a function must run before the engine compiles it. A command is over before machine code would pay: making
 * it, and the threads that do, took a quarter of the CPU time of `vm list`. What moves bytes for long is compiled all the same.
 */
const JIT_RELUCTANCE = 20;

/** @returns path of Bun for this machine. @throws Error if npm has not installed it */
function bunOf(root: string): string {
  const name = BUN_PACKAGES[process.arch];
  const path = join(root, 'node_modules', name ?? '', 'bin/bun');
  if (name === undefined || statSync(path, { throwIfNoEntry: false }) === undefined)
    throw new Error(`there is no Bun for ${process.arch} in node_modules; run \`make setup\``);
  return path;
}

/**
 * The same sources give the same bytes.
 * @param entry below `root`
 * @param path of the program. A program that starts meanwhile is the old one or the new one.
 * @returns its size in bytes
 */
export function compileProgram(root: string, entry: string, path: string, { build, version }: BuildIdentity): number {
  const dist = join(path, '..');
  mkdirSync(dist, { recursive: true });
  // Bun leaves temporary files in its working directory, and puts the name of the output into the program.
  const directory = mkdtempSync(join(dist, 'partial-'));
  try {
    const output = join(directory, 'banger');
    const words = [
      ...['build', '--compile', '--bytecode', '--minify', '--format=cjs', '--target=bun', ...WITHOUT_AUTOLOAD],
      `--compile-jit-policy=${JIT_RELUCTANCE}`,
      ...['--define', `BANGER_BUILD=${JSON.stringify(build)}`, '--define', `BANGER_VERSION=${JSON.stringify(version)}`],
      ...['--outfile', output, join(root, entry)],
    ];
    execFileSync(bunOf(root), words, {
      cwd: directory,
      env: { PATH: '/usr/bin:/bin', HOME: directory },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { size } = statSync(output);
    renameSync(output, path);
    return size;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
