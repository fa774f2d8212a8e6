// Bare QEMU with exactly the machine that banger starts: argv comes from a running VM, with paths of copies of its files.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SshAccess } from '../src/api/schemas.ts';
import { sshArgv } from '../src/client/ssh-argv.ts';
import type { Personalization } from '../src/guest/protocol.ts';
import { type Guest, openGuest } from './bare-guest.ts';
import { timeCommand, withProgram } from './timed.ts';

const BOOT_TIMEOUT_MS = 120_000;

/** Where the copied VM keeps its disks and its sockets. */
export type Original = { argv: readonly string[]; diskDirectory: string; socketDirectory: string };

/** Everything that is made before the clock starts. */
export type BareSetup = { original: Original; pristine: string; keys: string; scratch: string; env: Record<string, string> };

/** @returns argv of a running process */
export function argvOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
}

/** @returns the directory of the agent's sockets in the VMM's argv. @throws Error if argv names none */
export function socketDirectoryOf(argv: readonly string[]): string {
  const path = argv.map((word) => /path=([^,]*agent-0\.sock)/.exec(word)?.[1]).find((found) => found !== undefined);
  if (path === undefined) throw new Error('the VMM was started without an agent socket');
  return dirname(path);
}

/**
 * @param directory has copies of the disks, and gets the sockets
 * @returns argv of the same machine; it starts by itself, and its network is QEMU's own
 */
export function bareArguments(original: Original, directory: string): string[] {
  const moved = original.argv
    .slice(original.argv.findIndex((word) => /\/qemu-system-[^/]*$/.test(word)))
    .filter((word) => word !== '-S')
    .map((word) => word.replaceAll(original.diskDirectory, directory).replaceAll(original.socketDirectory, directory));
  return moved.map((word, at) => (moved[at - 1] === '-netdev' ? `user,id=${/\bid=([^,]+)/.exec(word)?.[1] ?? 'net0'}` : word));
}

/** Copies disks that no VM has booted from; holes stay holes. */
export async function copyDisks(from: string, to: string, env: Record<string, string>): Promise<void> {
  rmSync(to, { recursive: true, force: true });
  await timeCommand(['cp', '-r', '--sparse=always', '--reflink=auto', from, to], env);
}

/** Makes the keys of the guest (`host`) and of the client (`client`), and the list of known hosts. */
export async function makeKeys(directory: string, env: Record<string, string>): Promise<void> {
  mkdirSync(directory, { mode: 0o700 });
  for (const name of ['host', 'client']) {
    await timeCommand(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(directory, name)], env);
  }
  writeFileSync(join(directory, 'known_hosts'), `bare ${readFileSync(join(directory, 'host.pub'), 'utf8')}`);
}

/** Starts bare QEMU on fresh copies of the disks and personalises its guest as banger does. @returns milliseconds until `done` */
async function measureBare(setup: BareSetup, done: (guest: Guest) => Promise<void>): Promise<number> {
  const directory = join(setup.scratch, 'bare');
  await copyDisks(setup.pristine, directory, setup.env);
  const personalization = personalizationOf(setup.keys);
  const begin = performance.now();
  return withProgram(bareArguments(setup.original, directory), setup.env, async () => {
    const guest = await openGuest(join(directory, 'agent-0.sock'), BOOT_TIMEOUT_MS);
    try {
      await guest.personalize(personalization);
      await done(guest);
      return performance.now() - begin;
    } finally {
      guest.close();
    }
  });
}

/** @returns milliseconds from the start of bare QEMU to the end of the first command through the agent; copying is not counted */
export function measureBareExec(setup: BareSetup): Promise<number> {
  return measureBare(setup, (guest) => guest.runTrue());
}

/** @returns milliseconds from the start of bare QEMU to the end of the first command over SSH, with the options that banger gives to ssh */
export function measureBareSsh(setup: BareSetup): Promise<number> {
  return measureBare(setup, async (guest) => {
    const port = await guest.offerSsh();
    const path = (name: string): string => join(setup.keys, name);
    const access: SshAccess = {
      user: 'root',
      hostKeyAlias: 'bare',
      hostPublicKey: '',
      privateKeyPath: path('client'),
      knownHostsPath: path('known_hosts'),
    };
    const [ssh = 'ssh', ...rest] = sshArgv(access, ['none'], ['true'], { options: [] });
    await timeCommand([ssh, '-o', 'ProxyCommand=none', '-o', 'HostName=127.0.0.1', '-o', `Port=${port}`, ...rest], setup.env);
  });
}

function personalizationOf(keys: string): Omit<Personalization, 'unixMs'> & { unixMs: number } {
  const read = (name: string): string => readFileSync(join(keys, name), 'utf8');
  return {
    hostname: 'bare',
    hosts: ['10.0.2.15 bare.vm bare'],
    network: { address: '10.0.2.15', prefixLength: 24, gateway: '10.0.2.2', nameservers: ['10.0.2.3'], mtu: 1500 },
    authorizedKeys: [read('client.pub').trim()],
    sshHostKey: { private: read('host'), public: read('host.pub').trim() },
    machineId: randomBytes(16).toString('hex'),
    randomSeed: randomBytes(64).toString('base64'),
    unixMs: Date.now(),
    mounts: [{ device: '/dev/vdb', path: '/root', type: 'ext4' }],
    growRoot: true,
  };
}
