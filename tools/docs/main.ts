// Makes the reference: docs/cli.md from the commands and docs/api.md from the routes (with --check it only compares them), and the manual
// pages and completion scripts of the packages.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCRIPT_FILES, SCRIPTS, SHELLS } from '../../src/cli/completion/scripts.ts';
import { ROUTE_GROUPS } from '../../src/api/routes.ts';
import { apiMarkdown } from './api-markdown.ts';
import { configReference } from './config-keys.ts';
import { cliMarkdown } from './markdown.ts';
import { readReference } from './reference.ts';
import { manualPages } from './roff.ts';

const ROOT = join(import.meta.dirname, '..', '..');

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
  const made = [
    { name: 'docs/cli.md', text: await cliMarkdownText() },
    { name: 'docs/api.md', text: apiMarkdown(ROUTE_GROUPS) },
  ];
  if (!process.argv.includes('--check')) for (const { name, text } of made) writeFileSync(join(ROOT, name), text);
  else {
    const stale = made.filter(({ name, text }) => readFileSync(join(ROOT, name), 'utf8') !== text).map(({ name }) => name);
    if (stale.length === 0) console.log('docs: ok');
    else {
      console.error(`docs: ${stale.join(' and ')} must be made anew from the declarations; run make docs`);
      process.exitCode = 1;
    }
  }
}
