// Checks src/ against program-rules.ts: a file that starts programs unconfined says which, and why that is safe.
import { join } from 'node:path';
import { STARTERS, type Starter } from './program-rules.ts';
import { isTest, readSources, type SourceFile } from './source-tree.ts';
import { type CheckResult, concludeCheck } from './check-result.ts';

/** The module that starts processes; its types start none. */
const IMPORT = /^import (?!type\b)(?![^;]*\{ ?type \w+ ?\} from)[^;]*from '[./a-z]*spawn\.ts';/m;
const CALL = /(?:\bhost|#host)\s*\.\s*(?:run|spawnDetached)\b/;

/** @param files of src/ */
export function checkPrograms(files: readonly SourceFile[], starters: readonly Starter[] = STARTERS): CheckResult {
  const starting = files.filter(({ path, text }) => !isTest(path) && path !== 'src/host/spawn.ts' && starts(text));
  const known = new Set(starters.map(({ file }) => file));
  const found = new Set(starting.map(({ path }) => path));
  const problems = [
    ...starting
      .filter(({ path }) => !known.has(path))
      .map(({ path }) => `${path}:1: it starts programs; use runConfined, or say in tools/program-rules.ts why they read nothing foreign`),
    ...starters
      .filter(({ file }) => files.length > 0 && !found.has(file))
      .map(({ file }) => `tools/program-rules.ts:1: ${file} starts no program; take its line out`),
  ];
  return { scanned: files.length, problems, summary: `${starting.length} files start programs as they are` };
}

function starts(text: string): boolean {
  const code = text.replace(/^\s*(\/\/|\/?\*).*$/gm, '');
  return IMPORT.test(code) || CALL.test(code);
}

if (import.meta.main) {
  concludeCheck('programs', checkPrograms(readSources(join(import.meta.dirname, '..'), ['src'], ['.ts'])));
}
