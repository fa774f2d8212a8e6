import { freemem, userInfo } from 'node:os';
import { readdir } from 'node:fs/promises';
import type { Host } from '../../host/host.ts';
import { inNamespace } from './namespace.ts';
import { neededPrograms } from './preflight.ts';
import type { BuildFacts } from './preflight.ts';
import { messageOf } from '../../lib/message-of.ts';

/**
 * Checks everything that a build needs, without changing anything.
 * @param cacheDirectory an existing directory
 */
export async function collectBuildFacts(cacheDirectory: string, host: Host): Promise<BuildFacts> {
  const { uid: userId, username: userName } = userInfo();
  const programs = Object.keys(neededPrograms(userId));
  const search = 'for program; do command -v "$program" > /dev/null || echo "$program"; done';
  const missing = await host.run(['sh', '-c', search, 'sh', ...programs]);
  const missingPrograms = missing.stdout.split('\n').filter((line) => line !== '');
  const hasIdRanges = (await hasRange('/etc/subuid', userId, userName, host)) && (await hasRange('/etc/subgid', userId, userName, host));
  const tryNamespace = userId !== 0 && hasIdRanges && missingPrograms.length === 0;
  return {
    userId,
    userName,
    distribution: (await readOsRelease(host))['ID'] ?? 'unknown',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    missingPrograms,
    hasIdRanges,
    namespaceError: tryNamespace ? await namespaceError(userId, host) : null,
    hasKernelHeaders: await host.exists('/usr/include/linux/vm_sockets.h'),
    hasPackageLists: await hasPackageLists(),
    freeDiskBytes: await host.freeBytes(cacheDirectory),
    availableMemoryBytes: await availableMemoryBytes(host),
  };
}

/** @returns the variables of /etc/os-release (os-release(5)) */
export async function readOsRelease(host: Host): Promise<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const line of ((await host.readIfThere('/etc/os-release')) ?? '').split('\n')) {
    const match = /^([A-Z_]+)="?([^"]*)"?$/.exec(line);
    if (match?.[1] !== undefined) variables[match[1]] = match[2] ?? '';
  }
  return variables;
}

async function hasRange(path: string, userId: number, userName: string, host: Host): Promise<boolean> {
  const lines = ((await host.readIfThere(path)) ?? '').split('\n');
  return lines.some((line) => line.startsWith(`${userName}:`) || line.startsWith(`${userId}:`));
}

async function namespaceError(userId: number, host: Host): Promise<string | null> {
  try {
    await host.run(inNamespace(userId, ['true']), { timeoutMs: 10_000 });
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

async function hasPackageLists(): Promise<boolean> {
  try {
    return (await readdir('/var/lib/apt/lists')).some((name) => /_Packages(\.|$)/.test(name));
  } catch {
    return false;
  }
}

/** MemAvailable includes memory that the kernel would free; free memory alone says little. */
async function availableMemoryBytes(host: Host): Promise<number> {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec((await host.readIfThere('/proc/meminfo')) ?? '');
  return match === null ? freemem() : Number(match[1]) * 1024;
}
