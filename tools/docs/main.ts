// Makes what people read about the commands: docs/cli.md (with --check only compares it), or with a directory behind --dist
// the manual pages and completion scripts of the packages.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCRIPT_FILES, SCRIPTS, SHELLS } from '../../src/cli/completion/scripts.ts';
import { configReference } from './config-keys.ts';
import { cliMarkdown } from './markdown.ts';
import { readReference } from './reference.ts';
import { manualPages } from './roff.ts';

const ROOT = join(import.meta.dirname, '..', '..');
export const CLI_MARKDOWN_PATH = join(ROOT, 'docs', 'cli.md');

/** @returns docs/cli.md as it must be */
export async function cliMarkdownText(): Promise<string> {
  return cliMarkdown(await readReference(), configReference());
}

/** Writes man/ and completions/ below `dist`. */
export async function writeDistDocs(dist: string, version: string): Promise<void> {
  const pages = manualPages(await readReference(), configReference(), version);
  const files = [
    ...pages.map(({ file, text }) => ({ path: join('man', file), text })),
    ...SHELLS.map((shell) => ({ path: join('completions', SCRIPT_FILES[shell]), text: SCRIPTS[shell] })),
  ];
  for (const part of ['man', 'completions']) {
    rmSync(join(dist, part), { recursive: true, force: true });
    mkdirSync(join(dist, part), { recursive: true });
  }
  for (const { path, text } of files) writeFileSync(join(dist, path), text);
}

if (import.meta.main) {
  const text = await cliMarkdownText();
  if (!process.argv.includes('--check')) writeFileSync(CLI_MARKDOWN_PATH, text);
  else if (readFileSync(CLI_MARKDOWN_PATH, 'utf8') === text) console.log('docs: ok');
  else {
    console.error('docs: docs/cli.md is not what the declarations say; run make docs');
    process.exitCode = 1;
  }
}
