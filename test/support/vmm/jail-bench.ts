// What tests of jails share: programs that the helper may run, the helper itself, a user's files, and snapshots of the host.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess } from '../../../src/host/processes.ts';
import { run, spawnDetached } from '../../../src/host/spawn.ts';
import { type LineReply, converseWithRoot } from '../../../src/lib/line-protocol.ts';
import { BangerError } from '../../../src/model/errors.ts';
import type { JailHelper } from '../../../src/drivers/hypervisor/firecracker/jail.ts';

export const USER = 54_321;
export const OTHER = 54_322;
export const FIRST_JAIL_UID = 2_000_000;
const CGROUPS = '/sys/fs/cgroup';

export type JailBench = {
  /** A directory that belongs to root, with all its parents, as the programs must. */
  directory: string;
  /** Whether Firecracker and its jailer are the real ones. */
  isReal: boolean;
  /** Whether this host's cgroups have the limits that jails need. */
  hasLimits: boolean;
  socketPath: string;
  helper: JailHelper;
  start(fault?: string): Promise<void>;
  stop(signal?: 'SIGKILL'): Promise<void>;
  log(): string;
  remove(): Promise<void>;
};

/** @param standIn program that replaces both if the environment names no real ones */
export function createJailBench(helperProgram: string, standIn?: string): JailBench {
  const directory = mkdtempSync('/var/lib/bgr-jail-');
  chmodSync(directory, 0o755);
  const hasLimits = readFileSync(join(CGROUPS, 'cgroup.controllers'), 'utf8').split(/\s/).includes('memory');
  const isReal = installPrograms(directory, hasLimits, standIn);
  writeFileSync(join(directory, 'settings'), settingsOf(directory), { mode: 0o644 });
  const socketPath = join(directory, 'socket');
  let identity: Awaited<ReturnType<typeof spawnDetached>>['identity'] | undefined;
  const stop: JailBench['stop'] = async (signal) => {
    if (identity !== undefined) assert.ok(await endProcess(identity, signal === 'SIGKILL' ? 0 : 15_000));
    identity = undefined;
  };
  return {
    ...{ directory, isReal, hasLimits, socketPath, stop },
    helper: { ask: async (request) => linesOf((await converseWithRoot(socketPath, [request], 30_000))[0]) },
    start: async (fault) => {
      await stop();
      rmSync(socketPath, { force: true });
      const argv = [helperProgram, 'serve', socketPath, join(directory, 'run'), join(directory, 'settings')];
      const env = fault === undefined ? {} : { BANGER_HELPER_FAULT: fault };
      ({ identity } = await spawnDetached(argv, { outputPath: join(directory, 'log'), env }));
      for (let i = 0; !existsSync(socketPath); i++) {
        assert.ok(i < 500, readFileSync(join(directory, 'log'), 'utf8'));
        await sleep(20);
      }
    },
    log: () => readFileSync(join(directory, 'log'), 'utf8'),
    remove: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function settingsOf(directory: string): string {
  const at = (name: string): string => join(directory, name);
  return `allow ${USER}\nallow ${OTHER}\nallow 1000\njailer ${at('jailer')}\nfirecracker ${at('firecracker')}\njail-directory ${at('jails')}\njail-uids ${FIRST_JAIL_UID} 20\n`;
}

/**
 * A Firecracker that needs shared libraries does not find them in a jail, and a jailer refuses limits that the host's cgroups do
 * not have. In these cases a script before the real jailer copies the libraries or omits the limits.
 */
function installPrograms(directory: string, hasLimits: boolean, standIn: string | undefined): boolean {
  const { BANGER_FIRECRACKER: firecracker, BANGER_JAILER: jailer } = process.env;
  const install = (from: string, name: string): void => {
    copyFileSync(from, join(directory, name));
    // A copy that root makes has the owner of its source.
    chownSync(join(directory, name), 0, 0);
    chmodSync(join(directory, name), 0o755);
  };
  if (firecracker === undefined || jailer === undefined) {
    assert.ok(standIn !== undefined, 'BANGER_FIRECRACKER and BANGER_JAILER name no programs');
    for (const name of ['firecracker', 'jailer']) install(standIn, name);
    return false;
  }
  install(firecracker, 'firecracker');
  install(jailer, 'real-jailer');
  writeFileSync(join(directory, 'jailer'), inFront(directory, hasLimits), { mode: 0o755 });
  return true;
}

const inFront = (directory: string, hasLimits: boolean): string => `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    --id) id=$2; words+=("$1" "$2") ;;
    --chroot-base-dir) base=$2; words+=("$1" "$2") ;;
    ${hasLimits ? '--no-such-word) ;;' : '--cgroup) ;;\n    --parent-cgroup) words+=("$1" "$2/$id") ;;'}
    --) break ;;
    *) words+=("$1" "$2") ;;
  esac
  shift 2
done
root=$base/firecracker/$id/root
mask=$(umask)
umask 022
for library in $(ldd ${directory}/firecracker | grep -o '/[^ ]*'); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
umask "$mask"
exec ${directory}/real-jailer "\${words[@]}" "$@"
`;

function linesOf(reply: LineReply | undefined): string[] {
  if (reply?.ok === true) return reply.lines;
  throw new BangerError('VMM_FAILED', reply?.text ?? 'no answer', { details: { errno: reply?.errno } });
}

/** Asks as another user, in a process of that user, because the helper identifies its peer. @returns the answer's lines */
export async function askAs(bench: JailBench, uid: number, request: string): Promise<string[]> {
  const argv = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'socat', '-t30', '-', `UNIX-CONNECT:${bench.socketPath}`];
  return (await run(argv, { input: `${request}\n` })).stdout.trim().split('\n');
}

/** @returns whether a process of this user can connect to a socket */
export async function canConnect(uid: number, path: string): Promise<boolean> {
  const argv = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'socat', '-u', '/dev/null', `UNIX-CONNECT:${path}`];
  return run(argv).then(
    () => true,
    () => false,
  );
}

/** Makes a user's files and the claims that name them. @returns their directory */
export function makeClaims(bench: JailBench, uid: number, id: string, readOnlyDisk = false): string {
  const files = join(bench.directory, `files-${uid}-${id}`);
  const claims = join(bench.directory, 'run/users', String(uid), id);
  for (const path of [files, claims]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, uid, uid);
  }
  for (const name of ['kernel', 'initramfs', 'disk0', 'log', ...(readOnlyDisk ? ['disk1-ro', 'disk2'] : [])]) {
    const path = join(files, name);
    writeFileSync(path, name === 'kernel' ? '\x7fELF' : name === 'log' ? '' : 'x'.repeat(8192), { mode: 0o600 });
    chownSync(path, uid, uid);
    symlinkSync(path, join(claims, name));
  }
  return files;
}

/** @returns everything that a jail changes on the host: mounts, cgroups, directories, owners of disks, the record, processes */
export async function picture(bench: JailBench): Promise<string> {
  const find = 'find "$1"/jails "$1"/files-* -printf "%p %U %G %m %y\\n" 2>/dev/null | sort';
  const { stdout: files } = await run(['sh', '-c', `${find}; true`, 'sh', bench.directory]);
  const { stdout: processes } = await run(['sh', '-c', "ps -eo uid=,stat=,comm= | awk '$1 >= 2000000 && $1 < 2000020 && $2 !~ /Z/'"]);
  const record = join(bench.directory, 'run/record');
  return [
    readFileSync('/proc/self/mounts', 'utf8'),
    existsSync(join(CGROUPS, 'banger')) ? 'a cgroup is left' : '',
    ...[files, processes],
    existsSync(record) ? readFileSync(record, 'utf8') : '',
  ].join('\n');
}

/** @returns the words `name=value` of an answer */
export function valuesOf(line: string | undefined): Record<string, string> {
  return Object.fromEntries([...(line ?? '').matchAll(/(\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]));
}
