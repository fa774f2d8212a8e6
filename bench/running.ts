import { join } from 'node:path';
import type { Sandbox } from '../test/support/machine/sandbox.ts';
import { type Bench, SIZE, banger, createRunning, sshAccess, timed } from './bench.ts';
import { measureRoundRobin } from './round-robin.ts';

/** Opens a master connection of ssh. @returns argv that uses it; the last word is the target */
async function masterConnection(sandbox: Sandbox, name: string, scratch: string): Promise<string[]> {
  const access = await sshAccess(sandbox, name);
  const options = {
    UserKnownHostsFile: access.knownHostsPath,
    HostKeyAlias: access.hostKeyAlias,
    ProxyCommand: `${banger} internal ssh-proxy ${name}`,
    ControlPath: join(scratch, 'control'),
    LogLevel: 'ERROR',
  };
  const words = Object.entries(options).flatMap(([option, value]) => ['-o', `${option}=${value}`]);
  const ssh = ['ssh', '-F', 'none', '-i', access.privateKeyPath, ...words];
  const target = `${access.user}@${name}`;
  await timed(sandbox, ...ssh, '-fN', '-o', 'ControlMaster=yes', '-o', 'ControlPersist=yes', target);
  return [...ssh, target];
}

/** One running VM. */
export const execBench: Bench = {
  name: 'exec',
  title: 'command in a running VM',
  unit: 'ms',
  goals: { 'vm exec': [{ against: 'ssh, ControlMaster', atMost: 0.8 }] },
  run: async ({ sandbox, scratch, rounds }) => {
    const name = 'bench-exec';
    await createRunning(sandbox, name);
    const target = await masterConnection(sandbox, name, scratch);
    try {
      return await measureRoundRobin(
        [
          { name: 'ssh, ControlMaster', measure: () => timed(sandbox, ...target, 'true') },
          { name: 'vm exec', measure: () => timed(sandbox, banger, 'vm', 'exec', name, '--', 'true') },
        ],
        rounds.fast,
      );
    } finally {
      await timed(sandbox, ...target.slice(0, -1), '-O', 'exit', target.at(-1) ?? '');
      await sandbox.must(['vm', 'delete', '--force', name]);
    }
  },
};

/** What people compare a list of VMs with. Each may need a daemon of its own that does not run. */
const othersIn = (scratch: string): { name: string; argv: string[] }[] => [
  { name: 'podman ps', argv: ['podman', ...['root', 'runroot', 'tmpdir'].flatMap((place) => [`--${place}`, join(scratch, place)]), 'ps'] },
  { name: 'virsh list', argv: ['virsh', 'list', '--all'] },
  { name: 'incus list', argv: ['incus', 'list'] },
];

/** Twenty stopped VMs, in a table and as completions. */
export const listBench: Bench = {
  name: 'list',
  title: 'an answer about 20 VMs',
  unit: 'ms',
  goals: {
    'vm list': [{ against: 'node -e 0', atMost: 0.7 }],
    'internal complete': [{ against: 'node -e 0', atMost: 0.7 }],
  },
  run: async ({ sandbox, scratch, rounds }) => {
    for (let at = 0; at < 20; at++) await sandbox.must(['vm', 'create', '--name', `list-${at}`, ...SIZE, '--no-start']);
    const isThere = (argv: readonly string[]): Promise<boolean> =>
      timed(sandbox, ...argv).then(
        () => true,
        () => false,
      );
    const others = await Promise.all(othersIn(scratch).map(async (other) => ({ ...other, isThere: await isThere(other.argv) })));
    const measured = await measureRoundRobin(
      [
        { name: 'node -e 0', measure: () => timed(sandbox, process.execPath, '-e', '0') },
        { name: 'vm list', measure: () => timed(sandbox, banger, 'vm', 'list') },
        { name: 'internal complete', measure: () => timed(sandbox, banger, 'internal', 'complete', '--', 'vm', 'start', '') },
        ...others.filter((other) => other.isThere).map(({ name, argv }) => ({ name, measure: () => timed(sandbox, ...argv) })),
      ],
      rounds.fast,
    );
    return [...measured, ...others.filter((other) => !other.isThere).map(({ name }) => ({ name, samples: [] }))];
  },
};
