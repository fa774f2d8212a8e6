// The form of a shipped program for Node: `NAME.cjs`, a few lines that load `NAME.app`, which contains the bundle and V8's compiled code of
// it. Compiled code saves the daemon a third of its start. Both are in one file because V8 recognises code of another source only by its
// length, so a pair must never be mixed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HEAD_BYTES = 4;
/** The target of the bundles (of esbuild). */
const OLDEST_NODE = 26;

/**
 * The text of `NAME.cjs`, the same for every program. V8 runs without function context cells (docs/adr/0005-no-context-cells.md).
 */
export const LOADER_TEXT = `'use strict';
// The launcher may have found only the machine's own Node, of any version.
if (parseInt(process.versions.node, 10) < ${OLDEST_NODE}) {
  console.error('bangerd: this is Node ' + process.versions.node + ', and banger needs ${OLDEST_NODE} or newer. Reinstall the package with optional dependencies: they bring one.');
  process.exit(1);
}
// The launcher has put a colon in front of words that Node could take for its own, and a single colon before all words.
if (process.argv[2] === ':') process.argv = [...process.argv.slice(0, 2), ...process.argv.slice(3).map((word) => word.replace(/^:/, ''))];
require('node:v8').setFlagsFromString('--no-function-context-cells');
const filename = __filename.replace(/cjs$/, 'app');
const file = require('node:fs').readFileSync(filename);
const codeAt = ${HEAD_BYTES} + file.readUInt32LE(0);
const { Script } = require('node:vm');
// V8 refuses code that another Node has compiled, and the source is compiled.
const script = new Script(file.latin1Slice(${HEAD_BYTES}, codeAt), { filename, cachedData: file.subarray(codeAt) });
script.runInThisContext()(exports, require, module, __filename, __dirname);
`;

/**
 * @param bundle text of a CommonJS bundle, ASCII but for comments
 * @returns the bytes of `NAME.app`
 */
export function programFile(bundle: Uint8Array): Buffer {
  const source = Buffer.from(`(function (exports, require, module, __filename, __dirname) {${asciiOf(bundle)}\n})`, 'latin1');
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(source.length);
  return Buffer.concat([head, source, compiledCode(source)]);
}

/**
 * @returns the text with all non-ASCII characters escaped: a string of single bytes is read four times as fast and takes half the memory
 */
function asciiOf(bundle: Uint8Array): string {
  const text = Buffer.from(bundle).toString('utf8');
  return text.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Runs the program once in directories of its own, so that the code contains the functions that ran. @throws Error if it left none */
function compiledCode(source: Uint8Array): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-build-'));
  try {
    for (const name of ['state', 'cache', 'run']) mkdirSync(join(directory, name), { mode: 0o700 });
    writeFileSync(join(directory, 'source'), source);
    // The daemon loads all its modules and then refuses this, before it has touched anything.
    writeFileSync(join(directory, 'config.toml'), 'training = true\n');
    const env = {
      HOME: directory,
      BANGER_CONFIG: join(directory, 'config.toml'),
      BANGER_STATE_DIR: join(directory, 'state'),
      BANGER_CACHE_DIR: join(directory, 'cache'),
      BANGER_RUNTIME_DIR: join(directory, 'run'),
    };
    const trainer = join(import.meta.dirname, 'train-program.ts');
    const { stderr } = spawnSync(process.execPath, [trainer, directory], { env, encoding: 'utf8', timeout: 30_000 });
    try {
      return readFileSync(join(directory, 'code'));
    } catch {
      throw new Error(`running the program to compile it left no code: ${stderr}`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}
