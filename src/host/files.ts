import { constants, createReadStream } from 'node:fs';
import {
  access,
  appendFile,
  chmod,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  symlink,
  truncate,
  unlink,
} from 'node:fs/promises';
import { createHash, randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Writes a file completely or not at all, also across power loss. @param mode default 0600 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.partial`;
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await sync(dirname(path));
}

/** Returns once everything written to a file, by any process, is on disk. Of a directory, it makes renames and removals durable. */
export async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** @returns whether anything exists at `path` */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/** @returns content, or undefined if there is no such file */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @returns the first bytes of a file; fewer if it is shorter. @throws ENOENT and the like */
export async function readHead(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** @returns the names in a directory; none if there is no such directory */
export async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

/** @returns the names in a directory, the last changed first; none if there is no such directory */
export async function namesByAge(path: string): Promise<string[]> {
  const names = await namesIn(path);
  // A file that vanishes in between counts as old.
  const changedAt = (name: string): Promise<number> =>
    stat(join(path, name)).then(
      (s) => s.mtimeMs,
      () => 0,
    );
  const dated = await Promise.all(names.map(async (name) => ({ name, at: await changedAt(name) })));
  return dated.toSorted((a, b) => b.at - a.at).map(({ name }) => name);
}

/** Copies by reflink, readable by the owner alone. @returns false if the file system cannot do it (EOPNOTSUPP, EXDEV, EINVAL) */
export async function reflink(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    await chmod(to, 0o600);
    return true;
  } catch (error) {
    if (['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    throw error;
  }
}

/** Makes the file at least `sizeBytes` long without writing; never shrinks it. */
export async function extendSparse(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    if (size < sizeBytes) await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}

/** @returns size of the regular file at `path`, through links, bytes; undefined for anything else. @throws if it cannot be read */
export async function regularFileSize(path: string): Promise<number | undefined> {
  await access(path, constants.R_OK);
  const found = await stat(path);
  return found.isFile() ? found.size : undefined;
}

/** @returns a file as a stream with its size, to send it. The reader reads it to the end or destroys it. */
export async function openWhole(path: string): Promise<{ content: Readable; sizeBytes: number }> {
  return { sizeBytes: (await stat(path)).size, content: createReadStream(path, { highWaterMark: 256 * 1024 }) };
}

/** Appends text to a log that only its owner can read. */
export async function appendText(path: string, text: string): Promise<void> {
  await appendFile(path, text, { mode: 0o600 });
}

/** Moves a file or directory within a file system. */
export async function moveFile(from: string, to: string): Promise<void> {
  await rename(from, to);
}

/** Renames a directory once all its content is on disk: it exists at `to` completely or not at all, also across power loss. */
export async function publishDirectory(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    await sync(join(from, name));
  }
  await sync(from);
  await rename(from, to);
  await sync(dirname(to));
}

/** Truncates or extends the file to exactly `sizeBytes`. */
export async function setLength(path: string, sizeBytes: number): Promise<void> {
  await truncate(path, sizeBytes);
}

/** @returns bytes that an ordinary user can still write to the file system of `path` */
export async function freeBytes(path: string): Promise<number> {
  const s = await statfs(path);
  return s.bavail * s.bsize;
}

/** @returns size of the file system of `path`, and what an ordinary user can still write to it, bytes */
export async function fileSystemSize(path: string): Promise<{ totalBytes: number; freeBytes: number }> {
  const s = await statfs(path);
  return { totalBytes: s.blocks * s.bsize, freeBytes: s.bavail * s.bsize };
}

/** @returns length of the file, and the space that it takes on disk, bytes */
export async function fileSize(path: string): Promise<{ bytes: number; allocatedBytes: number }> {
  const s = await stat(path);
  return { bytes: s.size, allocatedBytes: s.blocks * 512 };
}

/** @returns SHA-256 of the file, hex. */
export async function sha256File(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 ** 2 }), hash, signal === undefined ? {} : { signal });
  return hash.digest('hex');
}

/** Makes a directory that only its owner can enter. */
export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** Removes a file or tree; a missing one is no error. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Removes one name, except of a directory; a missing one is no error. @throws EISDIR, EPERM and the like */
export async function removeName(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** @returns a text that changes if the file or device node at `path` changes, or undefined if there is none */
export async function fileIdentity(path: string): Promise<string | undefined> {
  try {
    const s = await stat(path);
    return [s.dev, s.ino, s.rdev, s.size, s.mtimeMs, s.ctimeMs].join(':');
  } catch {
    return undefined;
  }
}

/** @returns undefined if this user may read and write `path`, else the errno name, e.g. ENOENT or EACCES */
export async function readWriteProblem(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  }
}

/** @returns the absolute path of a program as the shell would find it in `searchPath`, or undefined */
export async function findProgram(name: string, searchPath: string): Promise<string | undefined> {
  const candidates = name.includes('/') ? [name] : searchPath.split(':').map((directory) => join(directory, name));
  for (const candidate of candidates) {
    const found = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return candidate;
  }
  return undefined;
}

/** Makes an empty file that did not exist, readable by the owner alone. */
export async function touch(path: string): Promise<void> {
  await (await open(path, 'a', 0o600)).close();
}

/** Makes a symbolic link. @throws EEXIST and the like */
export async function makeLink(target: string, path: string): Promise<void> {
  await symlink(target, path);
}
