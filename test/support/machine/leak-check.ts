// Finds what a test has left behind. Everything that banger makes has its directories in argv or environment, or `bgr-` in its name,
// so leftovers of this test can be told from those of another daemon.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isJailedVmmFor } from '../vmm/jailed-vmm.ts';

/** What belongs to one test. */
export type LeakScope = {
  /** The value of BANGER_TEST_RUN in the environment of everything that the test started. */
  runId: string;
  /** Directories of the test, absolute. */
  directories: readonly string[];
  /** Files below them that may stay (database, logs); the path is absolute. */
  mayStay: (path: string) => boolean;
};

/** One line per object, `kind identity`; equal lines are the same object. */
export type Snapshot = ReadonlySet<string>;

/** @returns all objects of the kinds that banger makes, if they can belong to the scope. */
export function takeSnapshot(scope: LeakScope): Snapshot {
  const processes = processesOf(scope);
  return new Set([
    ...processes.map(({ pid, command, namespaces }) => `process ${pid} ${command}${namespaces}`),
    ...namesIn('/sys/class/net', (name) => name.startsWith('bgr-')).map((name) => `link ${name}`),
    ...namesIn('/run/netns', (name) => name.startsWith('bgr-')).map((name) => `namespace ${name}`),
    ...mountsOf(scope),
    ...loopDevicesOf(scope),
    ...namesIn('/sys/block', (name) => name.startsWith('dm-'))
      .map((name) => readText(`/sys/block/${name}/dm/name`).trim())
      .filter((name) => name.startsWith('bgr-'))
      .map((name) => `mapper ${name}`),
    ...listenersOf(new Set(processes.map(({ pid }) => pid))),
    ...scope.directories.flatMap((directory) => filesBelow(directory, scope.mayStay)),
  ]);
}

/** @returns what exists now and did not before, one line each. */
export function leaksBetween(before: Snapshot, after: Snapshot): string[] {
  return [...after].filter((line) => !before.has(line)).toSorted();
}

/** @returns the processes that carry the mark of the scope, never the calling one. */
export function processesOf(scope: LeakScope): { pid: number; command: string; namespaces: string }[] {
  return namesIn('/proc', (name) => /^\d+$/.test(name)).flatMap((name) => {
    if (Number(name) === process.pid) return [];
    const command = readText(`/proc/${name}/cmdline`);
    const environment = readText(`/proc/${name}/environ`);
    const isMarked = environment.split('\0').includes(`BANGER_TEST_RUN=${scope.runId}`);
    const namesDirectory = scope.directories.some((directory) => command.includes(directory) || environment.includes(directory));
    if (command === '' || !(isMarked || namesDirectory || isJailedVmmFor(command, scope.directories))) return [];
    return [{ pid: Number(name), command: command.replaceAll('\0', ' ').trim().slice(0, 200), namespaces: foreignNamespaces(name) }];
  });
}

/** @returns " [net user]" if the process is in other namespaces. */
function foreignNamespaces(pid: string): string {
  const foreign = ['net', 'user', 'mnt', 'pid'].filter((kind) => {
    const theirs = readLink(`/proc/${pid}/ns/${kind}`);
    return theirs !== '' && theirs !== readLink(`/proc/self/ns/${kind}`);
  });
  return foreign.length === 0 ? '' : ` [${foreign.join(' ')}]`;
}

function mountsOf(scope: LeakScope): string[] {
  return readText('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => scope.directories.some((directory) => point.startsWith(directory)))
    .map((point) => `mount ${point}`);
}

function loopDevicesOf(scope: LeakScope): string[] {
  return namesIn('/sys/block', (name) => name.startsWith('loop')).flatMap((name) => {
    const file = readText(`/sys/block/${name}/loop/backing_file`).trim();
    return scope.directories.some((directory) => file.startsWith(directory)) ? [`loop ${name} ${file}`] : [];
  });
}

/** Listeners on 127.213.0.0/16, the addresses of VMs, unless a process outside the scope holds them. */
function listenersOf(ours: ReadonlySet<number>): string[] {
  const found = ['tcp', 'udp'].flatMap((protocol) =>
    readText(`/proc/net/${protocol}`)
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      // The kernel prints the address as a little-endian word: 127.213 is at its end. 0A is LISTEN, 07 an unconnected UDP socket.
      .filter(([, local = '', , state]) => /^[0-9A-F]{4}D57F:/.test(local) && (state === '0A' || (protocol === 'udp' && state === '07')))
      .map((fields) => ({ inode: fields[9] ?? '', text: `listener ${protocol} ${readableAddress(fields[1] ?? '')}` })),
  );
  if (found.length === 0) return [];
  const owners = socketOwners();
  return found.filter(({ inode }) => ours.has(owners.get(inode) ?? -1) || !owners.has(inode)).map(({ text }) => text);
}

function readableAddress(local: string): string {
  const [address = '', port = ''] = local.split(':');
  const bytes = [6, 4, 2, 0].map((at) => Number.parseInt(address.slice(at, at + 2), 16));
  return `${bytes.join('.')}:${Number.parseInt(port, 16)}`;
}

function socketOwners(): Map<string, number> {
  const owners = new Map<string, number>();
  for (const pid of namesIn('/proc', (name) => /^\d+$/.test(name))) {
    for (const descriptor of namesIn(`/proc/${pid}/fd`, () => true)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode !== undefined) owners.set(inode, Number(pid));
    }
  }
  return owners;
}

function filesBelow(directory: string, mayStay: (path: string) => boolean): string[] {
  return entriesOf(directory).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(path, mayStay);
    return mayStay(path) ? [] : [`file ${path}`];
  });
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    // Processes and directories may vanish meanwhile.
    return [];
  }
}

function namesIn(directory: string, wanted: (name: string) => boolean): string[] {
  return entriesOf(directory)
    .map(({ name }) => name)
    .filter(wanted);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // Gone, or another user's.
    return '';
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Gone, or another user's.
    return '';
  }
}
