// One line in ~/.ssh/config, put there and taken away without touching anything else of the file.
import { chmod, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Ends our line. Older programs take the words for names of further files, which are not there. */
const MARK = '# banger';
/** Tells a file that was not there before from one that was empty. */
const MADE = ' made this file';

const lineOf = (includePath: string, made: boolean): string => `Include "${includePath}" ${MARK}${made ? MADE : ''}\n`;

/**
 * @param text of the file; undefined when there is none
 * @returns what it is with our line in front, where no `Host` of the user's limits it
 */
export function withInclude(text: string | undefined, includePath: string): string {
  if (text === undefined) return lineOf(includePath, true);
  return hasInclude(text, includePath) ? text : lineOf(includePath, false) + text;
}

/** @returns what the file was without our line, byte for byte; undefined when it was not there */
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
 * Changes a configuration file of ssh in one go: whoever reads it meanwhile sees the old or the new one. Links are followed, mode and
 * bytes that are no text are kept.
 * @param change gets undefined when there is no file, and returns undefined when there should be none
 * @returns whether anything was changed
 */
export async function changeSshConfig(path: string, change: (text: string | undefined) => string | undefined): Promise<boolean> {
  const target = await realpath(path).catch(() => path);
  // Not utf8: what is no valid text must come back as it was.
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
