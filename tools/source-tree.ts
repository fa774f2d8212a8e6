import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file of the repository: path relative to its root with forward slashes, and its text. */
export type SourceFile = { path: string; text: string };

const SKIPPED_DIRECTORIES = new Set(['node_modules', 'dist', 'build', '.git', 'runtime']);

/**
 * Reads the files below some folders, in a stable order. A missing folder has no files.
 * @param root absolute path of the repository
 * @param folders relative to it; '' means the files directly in the root
 * @param extensions with the dot; an empty list means every file
 */
export function readSources(root: string, folders: readonly string[], extensions: readonly string[]): SourceFile[] {
  const paths = pathsIn(root, folders);
  const wanted = paths.filter((path) => extensions.length === 0 || extensions.some((extension) => path.endsWith(extension)));
  return wanted.toSorted().map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

/** Length of a file in bytes. */
export type FileSize = { path: string; bytes: number };

/** The files that `readSources` would read, without their content. */
export function readSizes(root: string, folders: readonly string[]): FileSize[] {
  return pathsIn(root, folders).map((path) => ({ path, bytes: lstatSync(join(root, path)).size }));
}

function pathsIn(root: string, folders: readonly string[]): string[] {
  return folders.flatMap((folder) => (folder === '' ? filesDirectlyIn(root) : filesBelow(root, folder)));
}

function filesDirectlyIn(root: string): string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

function filesBelow(root: string, folder: string): string[] {
  const found: string[] = [];
  for (const entry of entriesOf(join(root, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory() && !SKIPPED_DIRECTORIES.has(entry.name)) found.push(...filesBelow(root, path));
    else if (entry.isFile()) found.push(path);
  }
  return found;
}

function entriesOf(directory: string): ReturnType<typeof readEntries> {
  try {
    return readEntries(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function readEntries(directory: string) {
  return readdirSync(directory, { withFileTypes: true });
}

/** @returns the line, from 1, of the character at `offset` */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

/** @returns whether the file is part of a test instead of a program */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/') || path.includes('/test/');
}
