// Adds one line to ~/.ssh/config and removes it, without any other change to the file.
import { chmod, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Ends banger's line. Older programs take the words for names of further files, which do not exist. */
const MARK = '# banger';
/** Marks a file that did not exist before, as opposed to an empty one. */
const MADE = ' made this file';

const lineOf = (includePath: string, made: boolean): string => `Include "${includePath}" ${MARK}${made ? MADE : ''}\n`;

/**
 * @param text of the file; undefined if there is none
 * @returns the text with banger's line in front, where no `Host` of the user limits it
 */
export function withInclude(text: string | undefined, includePath: string): string {
  if (text === undefined) return lineOf(includePath, true);
  return hasInclude(text, includePath) ? text : lineOf(includePath, false) + text;
}

/** @returns the text without banger's line, byte for byte; undefined if the file did not exist */
export function withoutInclude(text: string, includePath: string): string | undefined {
  for (const made of [false, true]) {
    const line = lineOf(includePath, made);
    const at = text.startsWith(line) ? 0 : text.indexOf(`\n${line}`) + 1;
    if (at === 0 && !text.startsWith(line)) continue;
    const rest = text.slice(0, at) + text.slice(at + line.length);
    return made && rest === '' ? undefined : rest;
  }
  return text;
}

function hasInclude(text: string, includePath: string): boolean {
  return withoutInclude(text, includePath) !== text;
}

/**
 * Replaces a configuration file of ssh atomically: readers see the old or the new file. Follows links; keeps the mode, and bytes that are
 * not text.
 * @param change gets undefined if there is no file, and returns undefined to remove the file
 * @returns whether the file changed
 */
export async function changeSshConfig(path: string, change: (text: string | undefined) => string | undefined): Promise<boolean> {
  const target = await realpath(path).catch(() => path);
  // Not utf8: bytes that are not valid text must stay as they are.
  const before = await readFile(target, 'latin1').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const after = change(before);
  if (after === before) return false;
  if (after === undefined) {
    await rm(target);
    return true;
  }
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const mode = before === undefined ? 0o600 : (await stat(target)).mode & 0o777;
  const partial = `${target}.banger-${process.pid}`;
  try {
    await writeFile(partial, after, { encoding: 'latin1', mode, flag: 'wx', flush: true });
    await chmod(partial, mode);
    await rename(partial, target);
  } finally {
    await rm(partial, { force: true });
  }
  return true;
}
