// The same job with Debian's debvm, a minimal wrapper around QEMU, with software emulation as in banger's case.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { timeCommand, withProgram } from './timed.ts';

export type DebvmImage = { imagePath: string; keyPath: string };

/** @returns a Debian image with an SSH server, made on first use and kept in the bench's cache; its key is beside it */
export async function debvmImage(env: Record<string, string>): Promise<DebvmImage> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'banger-bench');
  const [imagePath, keyPath] = [join(cache, 'debvm.ext4'), join(cache, 'id_ed25519')];
  if (existsSync(imagePath)) return { imagePath, keyPath };
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  for (const path of [keyPath, `${keyPath}.pub`]) rmSync(path, { force: true });
  await timeCommand(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', keyPath], env);
  const partial = `${imagePath}.partial`;
  // The machine's own list of sources serves as the mirror, so that both images have the same packages.
  const sources = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'].filter((path) => existsSync(path)).slice(0, 1);
  await timeCommand(['debvm-create', '-r', 'bookworm', '-z', '2G', '-k', `${keyPath}.pub`, '-o', partial, '--', ...sources], env);
  renameSync(partial, imagePath);
  return { imagePath, keyPath };
}

/** @returns milliseconds from the start of debvm-run to the end of the first command over SSH; the image stays unchanged */
export async function measureDebvm({ imagePath, keyPath }: DebvmImage, env: Record<string, string>): Promise<number> {
  const port = await freePort();
  const begin = performance.now();
  // debvm-run uses `-machine accel=kvm:tcg`; QEMU refuses an additional `-accel`, but accepts a later `-machine`.
  const argv = ['debvm-run', '-i', imagePath, '-s', String(port), '--', '-snapshot', '-machine', 'accel=tcg', '-cpu', 'max'];
  const ssh = [
    ...['ssh', '-i', keyPath, '-p', String(port), '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ...['-o', 'ConnectTimeout=30', '-o', 'LogLevel=ERROR', 'root@127.0.0.1', 'true'],
  ];
  return withProgram(argv, env, async () => {
    const deadline = begin + 300_000;
    for (;;) {
      try {
        await timeCommand(ssh, env);
        return performance.now() - begin;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(100);
      }
    }
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
