import { chmodSync, constants, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import { type TarEntry, type TarSink } from '../lib/tar.ts';
import { BangerError } from '../model/errors.ts';

/**
 * Writes an archive that a guest made below `root`, and nowhere else: a path that leads out is refused, no component of
 * a path may be a symbolic link (an earlier copy may have left one), a link must point to something below `root`, and
 * devices are left out. setuid, setgid and sticky bits are dropped.
 */
export function createUnpacker(root: string, onSkipped: (problem: string) => void): TarSink & { finish(): void; abandon(): Promise<void> } {
  let file: { handle: FileHandle; mode: number } | undefined;
  const directoryModes = new Map<string, number>();
  return {
    async entry(entry) {
      const path = checkPath(entry.path);
      if (path === '') return;
      makeParents(root, path);
      const absolute = `${root}/${path}`;
      if (entry.type === 'directory') {
        makeDirectory(absolute);
        directoryModes.set(absolute, entry.mode & 0o777);
      } else if (entry.type === 'symlink') placeLink(root, path, entry.linkPath);
      else if (entry.type === 'file') file = { handle: await openNew(absolute), mode: entry.mode & 0o777 };
      else onSkipped(`${JSON.stringify(path)} is no file, directory or symbolic link and was left out`);
    },
    async content(bytes) {
      await file?.handle.writeFile(bytes);
    },
    async entryEnd() {
      await file?.handle.chmod(file.mode);
      await file?.handle.close();
      file = undefined;
    },
    finish() {
      // Last, and deepest first: a directory without the right to write would refuse what goes into it.
      for (const [path, mode] of [...directoryModes].toReversed()) if (lstatSync(path).isDirectory()) chmodSync(path, mode);
    },
    async abandon() {
      await file?.handle.close();
    },
  };
}

function refuse(path: string, why: string): never {
  throw new BangerError('GUEST_FILE', `the guest sent ${JSON.stringify(path.slice(0, 200))}, which ${why}; the copy was stopped`, {
    remedy: 'copy into a new directory, and do not trust this machine',
  });
}

/** @returns the path without `./` and doubled slashes; empty for the root itself. @throws GUEST_FILE when it leads out */
export function checkPath(path: TarEntry['path']): string {
  if (path.startsWith('/')) refuse(path, 'is absolute');
  if (path.includes('\0')) refuse(path, 'has a zero byte');
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) refuse(path, 'leads out of the target');
  return parts.join('/');
}

function kindOf(path: string): 'none' | 'directory' | 'link' | 'other' {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 'none';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'link' : 'other';
}

function makeParents(root: string, path: string): void {
  const parts = path.split('/').slice(0, -1);
  let at = root;
  for (const part of parts) {
    at = `${at}/${part}`;
    const kind = kindOf(at);
    if (kind === 'none') mkdirSync(at);
    else if (kind !== 'directory') refuse(path, 'goes through something that is not a directory');
  }
}

function makeDirectory(absolute: string): void {
  const kind = kindOf(absolute);
  if (kind === 'none') mkdirSync(absolute, 0o700);
  else if (kind !== 'directory') refuse(absolute, 'is a directory where there is something else');
  else chmodSync(absolute, lstatSync(absolute).mode | 0o700);
}

function placeLink(root: string, path: string, target: string): void {
  const resolved = posix.normalize(`${dirname(`/${path}`)}/${target}`);
  const depth = target
    .split('/')
    .reduce(
      (level, part) => (level < 0 ? level : part === '..' ? level - 1 : part === '' || part === '.' ? level : level + 1),
      path.split('/').length - 1,
    );
  if (target.startsWith('/') || target === '' || depth < 0 || resolved.includes('\0')) {
    refuse(path, `is a link to ${JSON.stringify(target.slice(0, 200))} outside of the target`);
  }
  const absolute = `${root}/${path}`;
  const kind = kindOf(absolute);
  if (kind === 'link' && readlinkSync(absolute) === target) return;
  if (kind === 'directory') refuse(path, 'is a link where there is a directory');
  if (kind !== 'none') rmSync(absolute);
  symlinkSync(target, absolute);
}

/** The old file is replaced, not written into: it may have other names elsewhere. */
async function openNew(absolute: string): Promise<FileHandle> {
  const kind = kindOf(absolute);
  if (kind === 'directory') refuse(absolute, 'is a file where there is a directory');
  if (kind !== 'none') rmSync(absolute);
  return open(absolute, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
}
