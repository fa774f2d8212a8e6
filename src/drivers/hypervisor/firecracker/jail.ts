import { constants } from 'node:os';
import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { type ProcessIdentity, shortId } from '../../../model/vm.ts';
import type { MachineSpec } from '../contract.ts';
import type { ProcessStatus } from '../process-end.ts';
import type { Launch } from './launch.ts';
import { type MachinePaths, machinePaths } from './machine-config.ts';

/** What jails need of the root helper: one request line, the data lines of its reply. */
export type JailHelper = {
  /** @throws BangerError with the errno's name in details.errno; PREREQUISITE_MISSING if no helper answers */
  ask(request: string): Promise<string[]>;
};

/** Where the helper has this user's claims and the jails of all users. */
export type JailPlaces = { claimsDirectory: string; jailsDirectory: string };

/** @param lines of the reply to `hello` @returns undefined if the helper cannot make jails */
export function parseJailPlaces(lines: readonly string[]): JailPlaces | undefined {
  const claimsDirectory = lines.map((line) => /^hello .*\bdirectory=(\S+)/.exec(line)?.[1]).find((found) => found !== undefined);
  const jailsDirectory = lines.map((line) => /^jail ready=yes jails=(\S+)/.exec(line)?.[1]).find((found) => found !== undefined);
  return claimsDirectory === undefined || jailsDirectory === undefined ? undefined : { claimsDirectory, jailsDirectory };
}

/** @param lines of the reply to `jail start` or `list` @returns the VMM of this VM and its user, as the helper recorded them */
export function parseJail(lines: readonly string[], id: string): { identity: ProcessIdentity; uid: number } | undefined {
  for (const line of lines) {
    const [, jail, pid, start, uid] = /^jail ([0-9a-f]{8}) pid=(\d+) start=(\d+) uid=(\d+) /.exec(line) ?? [];
    if (jail === id) return { identity: { pid: Number(pid), startTicks: Number(start) }, uid: Number(uid) };
  }
  return undefined;
}

/** @param lines of the reply to `jail stop` */
export function parseExit(lines: readonly string[]): ProcessStatus | undefined {
  const [, kind, value] = /^exit (status|signal)=(\d+)$/.exec(lines[0] ?? '') ?? [];
  if (kind === undefined) return undefined;
  if (kind === 'status') return { exitCode: Number(value), signal: null };
  const names = Object.keys(constants.signals) as NodeJS.Signals[];
  return { exitCode: null, signal: names.find((name) => constants.signals[name] === Number(value)) ?? 'SIGKILL' };
}

/** Path of a VMM's file inside its jail: a file that the helper puts there (native/helper/jail-files.c), or one in run/. */
export function seenInJail(spec: MachineSpec, paths: MachinePaths, root: string, hostPath: string): string {
  if (Object.values(paths).includes(hostPath)) return hostPath.slice(root.length);
  if (hostPath === spec.kernelPath) return '/kernel';
  if (hostPath === spec.initramfsPath) return '/initramfs';
  const index = spec.disks.findIndex(({ path }) => path === hostPath);
  if (index >= 0) return `/disk${index}`;
  throw new BangerError('UNSUPPORTED', `a jailed VMM cannot open ${hostPath}, which did not exist when it started`, {
    details: { vm: spec.vmName, path: hostPath },
  });
}

/** @returns what the helper may open for this machine: the name of the claim and the file to which it leads */
export function claimsOf(spec: MachineSpec): Map<string, string> {
  const disks = spec.disks.map(({ path, readOnly }, index): [string, string] => [`disk${index}${readOnly ? '-ro' : ''}`, path]);
  return new Map([['kernel', spec.kernelPath], ['initramfs', spec.initramfsPath], ['log', spec.vmmLogPath], ...disks]);
}

/**
 * The process runs in a chroot, as a user and in a cgroup of its own, which the root helper makes and removes. The daemon reaches its
 * sockets and pipes through an access control list, and cannot signal it. This costs one round trip to the helper, and copies of kernel and
 * initramfs if the file system cannot share them.
 */
export function jailedLaunch(parts: { host: Host; helper: JailHelper; places: JailPlaces }): Launch {
  const { host, helper, places } = parts;
  const ends = new Map<string, ProcessStatus>();
  const uids = new Map<string, number>();
  const idOf = (spec: MachineSpec): string => shortId({ id: spec.vmId });
  const rootOf = (spec: MachineSpec): string => join(places.jailsDirectory, `bgr-${idOf(spec)}`, 'root');
  const claimsDirectoryOf = (spec: MachineSpec): string => join(places.claimsDirectory, idOf(spec));
  const paths = (spec: MachineSpec): MachinePaths => machinePaths({ runtimeDirectory: join(rootOf(spec), 'run') });

  const makeClaims = async (spec: MachineSpec): Promise<void> => {
    const directory = claimsDirectoryOf(spec);
    await host.removeTree(directory);
    await host.makePrivateDirectory(directory);
    await host.touch(spec.vmmLogPath);
    for (const [name, target] of claimsOf(spec)) await host.makeLink(target, join(directory, name));
  };

  const learn = (spec: MachineSpec, lines: readonly string[]): ProcessIdentity | undefined => {
    const jail = parseJail(lines, idOf(spec));
    if (jail !== undefined) uids.set(spec.vmId, jail.uid);
    return jail?.identity;
  };

  // The helper tells the first caller how a VMM ended, and takes the jail apart at once.
  const stop = async (spec: MachineSpec): Promise<void> => {
    const status = parseExit(await helper.ask(`jail stop ${idOf(spec)}`));
    if (status !== undefined) ends.set(spec.vmId, status);
  };

  return {
    seesAllFiles: false,
    paths,
    seen: (spec, hostPath) => seenInJail(spec, paths(spec), rootOf(spec), hostPath),
    // The helper gives the API's socket to this user; files that the VMM makes belong to the VMM's user.
    connect: (spec, path) => host.connectUnix(path, uids.get(spec.vmId)),
    instanceId: (spec) => `bgr-${idOf(spec)}`,
    // The helper runs the one program that its own settings name.
    start: async (spec) => {
      ends.delete(spec.vmId);
      await makeClaims(spec);
      const network = spec.networkPid === undefined ? 'host' : `netns ${spec.networkPid}`;
      const lines = await helper.ask(`jail start ${idOf(spec)} ${spec.vcpuCount} ${spec.memoryMib} ${network}`);
      const identity = learn(spec, lines);
      if (identity === undefined) throw new BangerError('VMM_FAILED', 'the root helper does not say which process it started');
      return { identity };
    },
    find: async (spec) => {
      const identity = learn(spec, await helper.ask('list'));
      return identity !== undefined && host.isAlive(identity) ? identity : undefined;
    },
    end: async (spec, process) => {
      await stop(spec);
      return !host.isAlive(process);
    },
    status: async (spec) => {
      if (!ends.has(spec.vmId)) await stop(spec);
      return ends.get(spec.vmId);
    },
    cleanUp: async (spec) => {
      await stop(spec);
      uids.delete(spec.vmId);
      await host.removeTree(claimsDirectoryOf(spec));
    },
  };
}
