// The lab's machine as a host for VMs of an ordinary user: installs the helper, has settings for its speed, and checks what is left.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync } from 'node:fs';
import { after, before } from 'node:test';
import { run } from '../../../src/host/spawn.ts';
import { PROGRAM } from './sandbox.ts';
import { testUser } from '../user/unprivileged.ts';
import { complaintsOf } from './kernel-log.ts';

const { BANGER_FIRECRACKER: firecracker, BANGER_JAILER: jailer } = process.env;
const programs = firecracker === undefined || jailer === undefined ? undefined : { firecracker, jailer };

/** Why tests that need Firecracker are skipped, or false; for the option `skip` of node:test. */
export const withoutFirecracker = programs === undefined ? 'BANGER_FIRECRACKER and BANGER_JAILER name no programs' : false;

/** The smallest VM in which all images boot. */
export const SMALL = ['--vcpu', '1', '--memory', '384M'];
/** The limit of a verb that boots a guest on an ordinary machine. */
export const LONG = { timeoutMs: 60_000 };

export type Drivers = { hypervisor: string; network: 'private' | 'bridge'; storage: 'copy' | 'dm-snapshot' };

/** @returns the environment that makes banger use these drivers, with time limits for nested emulation */
export function environmentOf({ hypervisor, network, storage }: Drivers): Record<string, string> {
  return {
    BANGER_BOOT_TIMEOUT_SECONDS: '240',
    BANGER_STOP_GRACE_SECONDS: '60',
    BANGER_HYPERVISOR: hypervisor,
    BANGER_NETWORK_MODE: network,
    BANGER_STORAGE_DRIVER: storage,
    ...(programs === undefined ? {} : { BANGER_FIRECRACKER: programs.firecracker }),
  };
}

/** Everything that the root path makes, one line for each object. */
const PICTURE = [
  'dmsetup ls | sort',
  'losetup -a | sort',
  'ip -br link | cut -d " " -f 1 | sort',
  'nft list ruleset',
  'find /sys/fs/cgroup -name "*bgr-*"',
  'grep -c . /proc/mounts',
  'lsns -t net -n -o NS,COMMAND | wc -l; lsns -t user -n | wc -l',
  // A user's own directories are made only once.
  'find /var/lib/banger-jail /dev/banger /run/banger/users -mindepth 2 2>/dev/null | sort',
  'grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/forwarding',
];

/** @returns what VMs could leave on the host; if two results are equal, nothing was left */
export async function pictureOfHost(): Promise<string> {
  return (await run(['sh', '-c', PICTURE.map((line) => `echo "== "; ${line}`).join('\n')])).stdout;
}

/**
 * Registers hooks that install the helper for the tests' user, with jails if their programs exist, and remove it. Afterwards
 * nothing of it may be left, and the kernel must not have complained.
 */
export function useInstalledHelper(): void {
  const setup = (...words: string[]) => run([PROGRAM, 'setup', ...words], { timeoutMs: 120_000 });
  let begun = 0;
  before(async () => {
    // Earlier tests may have provoked the kernel on purpose.
    begun = Number.parseFloat(readFileSync('/proc/uptime', 'utf8'));
    // The lab's users are made for a test; on a real host they would be in the group kvm.
    chmodSync('/dev/kvm', 0o666);
    const jails = programs === undefined ? [] : ['--firecracker', programs.firecracker, '--jailer', programs.jailer];
    await setup('--user', String(testUser('/nonexistent').uid), ...jails);
  });
  after(async () => {
    await setup('--uninstall');
    const left = 'ls -d /etc/banger /run/banger /dev/banger /var/lib/banger-jail /usr/local/lib/banger* 2>/dev/null || true';
    assert.equal((await run(['sh', '-c', left])).stdout, '');
    assert.deepEqual(complaintsOf((await run(['dmesg'])).stdout, begun), []);
  });
}
