// What survives a daemon in tests: directories, an image, machines and networks in memory.
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFakeWorld, type FakeWorld } from '../../../src/drivers/hypervisor/fake/world.ts';
import { fakeNetworkWorld, type FakeNetworkWorld } from '../../../src/drivers/network/fake/driver.ts';
import { type Host, realHost } from '../../../src/host/host.ts';
import { type Directories, resolveDirectories } from '../../../src/lib/directories.ts';
import { completeImage, type Image } from '../../../src/model/image.ts';
import type { ProcessIdentity } from '../../../src/model/vm.ts';
import { type FakeStorageWorld, fakeStorageWorld } from './fake-storage.ts';

export type TestWorld = {
  /** As on a plain machine: drivers that need the missing root helper come first, and those that work come after them. */
  isPlain: boolean;
  /** The runtime bundle has moved away, and with it all networks. */
  isBundleAway: boolean;
  directory: string;
  directories: Directories;
  /** For a CLI that uses the daemon of this world. */
  env: Record<string, string>;
  machines: FakeWorld;
  network: FakeNetworkWorld;
  storage: FakeStorageWorld;
  /** `.vm` names that resolve. */
  names: Map<string, string>;
  /** Addresses with TCP connections. */
  connected: Set<string>;
  /** How much of a processor each VMM uses. */
  cpuShare: number;
  /** Loopback addresses on which another user's programs listen. */
  squatted: Set<string>;
  host: Host;
  image: Image;
  /** Of the bundle. */
  agentSha256: string;
  /** What exists of VMs: files, machines, network objects, names; sorted, one line each. */
  remains(): string[];
  remove(): void;
};

const AGENT = 'a'.repeat(64);
const MIB = 1024 ** 2;

/** @returns an empty host with one small image, `default` */
export function createTestWorld({ isPlain = false } = {}): TestWorld {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  const env = {
    HOME: directory,
    BANGER_CONFIG: join(directory, 'config.toml'),
    BANGER_STATE_DIR: join(directory, 'state'),
    BANGER_CACHE_DIR: join(directory, 'cache'),
    BANGER_RUNTIME_DIR: join(directory, 'run'),
    BANGER_NO_AUTOSTART: '1',
  };
  for (const name of ['state', 'cache', 'run', 'image']) mkdirSync(join(directory, name), { mode: 0o700 });
  const machines = createFakeWorld();
  const network = fakeNetworkWorld();
  const storage = fakeStorageWorld();
  const names = new Map<string, string>();
  const connected = new Set<string>();
  const squatted = new Set<string>();
  const world: TestWorld = {
    isPlain,
    isBundleAway: false,
    directory,
    directories: resolveDirectories(env, directory, process.getuid?.() ?? 0),
    env,
    machines,
    network,
    storage,
    names,
    connected,
    squatted,
    cpuShare: 0.5,
    host: hostOf(machines, connected, squatted, () => world.cpuShare),
    image: createImage(join(directory, 'image')),
    agentSha256: AGENT,
    remains: () =>
      [
        ...filesBelow(join(directory, 'state', 'vms')),
        ...filesBelow(join(directory, 'run', 'v')),
        ...[...machines.machines.keys()].map((path) => `machine ${path}`),
        ...[...storage.attached.keys()].map((vmId) => `disk of ${vmId}`),
        ...[...network.taps].map((tap) => `tap ${tap}`),
        ...[...network.forwards].flatMap(([id, forwards]) => (forwards.length === 0 ? [] : `forwards ${id}`)),
        ...[...names.keys()].map((name) => `name ${name}`),
      ].toSorted(),
    remove: () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }),
  };
  return world;
}

/** More than any test writes to a disk, whatever its size. */
const WRITTEN_BYTES = 2 * MIB;

/** Leaves the rest a hole, as a copy without holes does. */
async function copyHead(from: string, to: string): Promise<void> {
  await writeFile(to, await realHost.readHead(from, WRITTEN_BYTES), { mode: 0o600 });
  await realHost.setLength(to, (await realHost.fileSize(from)).bytes);
}

/** The real host, except that processes exist only among the fake machines, and copies start no process. */
function hostOf(machines: FakeWorld, connected: ReadonlySet<string>, squatted: ReadonlySet<string>, cpuShare: () => number): Host {
  const fakeOf = (identity: ProcessIdentity) =>
    [...machines.machines.values()].find(({ process }) => process.pid === identity.pid && process.startTicks === identity.startTicks);
  return {
    ...realHost,
    sparseCopy: async (from, to, signal) => {
      signal?.throwIfAborted();
      await copyHead(from, to);
    },
    confinementProblem: () => Promise.resolve(undefined),
    checkExt4: () => Promise.resolve(),
    shrinkExt4: (path) => Promise.resolve(truncateSync(path, MIB)),
    makeExt4: (path) => Promise.resolve(void emptyExt4(path)),
    processUsage: (identity) =>
      Promise.resolve(fakeOf(identity) === undefined ? undefined : { cpuMs: performance.now() * cpuShare(), residentBytes: 64 * MIB }),
    connectedAddresses: () => Promise.resolve(new Set(connected)),
    listenedByOthers: () => new Set(squatted),
    isAlive: (identity) => fakeOf(identity) !== undefined,
    signalProcess: (identity, signal) => {
      const machine = fakeOf(identity);
      if (machine !== undefined && (signal === 'SIGSTOP' || signal === 'SIGCONT')) machine.hung = signal === 'SIGSTOP';
      else machine?.end({ cause: 'crash', detail: `ended by ${signal}` });
      return machine !== undefined;
    },
    endProcess: (identity) => {
      fakeOf(identity)?.end({ cause: 'crash', detail: 'ended by SIGKILL' });
      return Promise.resolve(true);
    },
  };
}

function createImage(directory: string): Image {
  const file = (name: string, sizeBytes: number): string => {
    const path = join(directory, name);
    writeFileSync(path, name);
    truncateSync(path, sizeBytes);
    return path;
  };
  return completeImage({
    id: '1'.repeat(32),
    name: 'default',
    kernelPath: file('vmlinux', 1024),
    initramfsPath: file('initramfs', 1024),
    rootfsPath: file('rootfs', MIB),
    rootfsBytes: MIB,
    workSeedPath: emptyExt4(file('work-seed', MIB)),
    workSeedBytes: MIB,
    distribution: 'debian',
    initSystem: 'systemd',
    servicePorts: [22],
    agentSha256: AGENT,
    createdAt: '2026-01-01T00:00:00Z',
  });
}

/** The part of a file system that the daemon reads: the magic number and the state in its superblock. */
function emptyExt4(path: string): string {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, Buffer.from([0x53, 0xef, 0x01, 0x00]), 0, 4, 1024 + 0x38);
  closeSync(descriptor);
  return path;
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((path) => `file ${join(directory, path)}`);
}
