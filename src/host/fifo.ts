import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { run } from './spawn.ts';

/** Makes named pipes that only their owner may use. @throws CommandFailure */
export async function makeFifos(paths: readonly string[]): Promise<void> {
  await run(['mkfifo', '-m', '600', ...paths], { timeoutMs: 10_000 });
}

/**
 * Opens a named pipe for reading, even if it has no writer yet. Data in the pipe (64 KiB at most) is read even after its writer is gone.
 * @throws ENOENT and the like; ELOOP for a link and EINVAL for a file that is no pipe, since another program may have put it there
 */
export function openFifo(path: string): Socket {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  if (!fstatSync(fd).isFIFO()) {
    closeSync(fd);
    throw Object.assign(new Error(`${path} is not a named pipe`), { code: 'EINVAL' });
  }
  return new Socket({ fd, readable: true, writable: false });
}
