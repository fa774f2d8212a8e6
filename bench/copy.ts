// Compares `vm cp` with the usual alternatives: rsync and tar over ssh, with the configuration of `banger ssh-config`.
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { giveGuest } from '../test/support/guest/program-for-guest.ts';
import { type Bench, type BenchContext, banger, createRunning } from './bench.ts';
import { daemonPid } from './daemon.ts';
import { type RowResult, measureRoundRobin } from './round-robin.ts';
import { cpuMsOf, forgetPeak, peakOf, spentBy } from './spent.ts';

const NAME = 'bench-copy';
const FAR = '/root/bench';
const MIB = 1024 ** 2;

/** The copied data: `tree` below a directory. */
type Load = {
  write: (tree: string) => void;
  files: number;
  /** The most that a copy may take on a disk. */
  heldMib: number;
  /** How often to measure each tool, and whether to run it once before. */
  rounds: (slow: number) => number;
  warmUps: number;
};

/** Small files like npm packages: 200 in a directory, from 100 bytes to 9 000. */
function smallFiles(files: number): Load['write'] {
  const noise = randomFillSync(Buffer.alloc(64 * 1024));
  const sizes = [100, 700, 2000, 4000, 9000];
  return (tree) => {
    for (let at = 0; at < files; at++) {
      const directory = join(tree, `${Math.floor(at / 200)}`);
      if (at % 200 === 0) mkdirSync(directory, { recursive: true });
      const from = (at * 97) % (noise.length - 9000);
      writeFileSync(join(directory, `module-${at}.js`), noise.subarray(from, from + (sizes[at % sizes.length] ?? 0)));
    }
  };
}

/** A disk with a MiB of data here and there, one in 160. */
function sparseFile(dataMib: number): Load['write'] {
  return (tree) => {
    mkdirSync(tree);
    const file = openSync(join(tree, 'disk.img'), 'w');
    ftruncateSync(file, dataMib * 160 * MIB);
    for (let at = 0; at < dataMib; at++) writeSync(file, randomFillSync(Buffer.alloc(MIB)), 0, MIB, at * 160 * MIB);
    closeSync(file);
  };
}

type Way = { name: string; into: readonly string[]; out: readonly string[] };

async function waysOf({ sandbox, scratch }: BenchContext): Promise<Way[]> {
  await sandbox.must(['ssh-config']);
  const ssh = `ssh -F ${join(sandbox.env['BANGER_STATE_DIR'] ?? '', 'ssh', 'ssh_config')} -o LogLevel=ERROR`;
  const [here, back] = [join(scratch, 'here'), join(scratch, 'back')];
  const shell = (script: string): string[] => ['bash', '-o', 'pipefail', '-c', script];
  return [
    {
      name: 'tar over ssh',
      into: shell(`tar -C ${here} -Scf - tree | ${ssh} ${NAME}.vm 'tar -C ${FAR} -xf -'`),
      out: shell(`${ssh} ${NAME}.vm 'tar -C ${FAR} -Scf - tree' | tar -C ${back} -xf -`),
    },
    {
      // Without -z it would send 10 GiB of zeros.
      name: 'rsync over ssh',
      into: ['rsync', '-aSz', '-e', ssh, `${here}/tree`, `${NAME}.vm:${FAR}`],
      out: ['rsync', '-aSz', '-e', ssh, `${NAME}.vm:${FAR}/tree`, back],
    },
    { name: 'vm cp', into: [banger, 'vm', 'cp', `${here}/tree`, `${NAME}:${FAR}`], out: [banger, 'vm', 'cp', `${NAME}:${FAR}/tree`, back] },
  ];
}

/** Both directories are empty before each measurement, and all earlier writes have reached the disk. */
type Place = { empty: () => Promise<void>; look: () => Promise<string> };

function placesOf({ sandbox, scratch }: BenchContext): Record<'guest' | 'host', Place> {
  const back = join(scratch, 'back');
  const inGuest = (script: string): Promise<string> => sandbox.must(['vm', 'exec', NAME, '--', 'sh', '-c', script], { timeoutMs: 600_000 });
  const look = (directory: string): string => `find ${directory} -type f | wc -l; du -sm ${directory}`;
  return {
    guest: {
      empty: async () => void (await inGuest(`rm -rf ${FAR}; mkdir ${FAR}; sync`)),
      look: () => inGuest(look(FAR)),
    },
    host: {
      empty: async () => {
        rmSync(back, { recursive: true, force: true });
        mkdirSync(back);
        await Promise.resolve();
      },
      look: () => Promise.resolve(execFileSync('sh', ['-c', look(back)], { encoding: 'utf8' })),
    },
  };
}

/** @throws if the copy is incomplete, or has filled holes */
async function assertCopied(place: Place, load: Load, name: string): Promise<void> {
  const [files, heldMib] = (await place.look()).split('\n').map((line) => Number.parseInt(line, 10));
  if (files !== load.files || (heldMib ?? 0) > load.heldMib) throw new Error(`${name} made ${files} files of ${heldMib} MiB`);
}

type Measured = { times: RowResult[]; costs: RowResult[] };

async function measureDirection(context: BenchContext, load: Load, direction: 'into' | 'out'): Promise<Measured> {
  const { sandbox, rounds } = context;
  const place = placesOf(context)[direction === 'into' ? 'guest' : 'host'];
  const daemon = await daemonPid(sandbox);
  const costs = new Map<string, RowResult & { samples: number[] }>();
  const note = (name: string, value = Number.NaN, unit = 'MiB'): void => {
    const row = costs.get(name) ?? { name, samples: [], unit };
    row.samples.push(value);
    costs.set(name, row);
  };
  const suffix = direction === 'into' ? 'into the guest' : 'out of the guest';
  const rows = (await waysOf(context)).map((way) => ({
    name: `${way.name} ${suffix}`,
    measure: async () => {
      await place.empty();
      forgetPeak(daemon);
      const before = cpuMsOf(daemon) ?? Number.NaN;
      const { durationMs, cpuMs, peakMib } = await spentBy(way[direction], sandbox.env);
      process.stderr.write(`  ${way.name} ${suffix}: ${(durationMs / 1000).toFixed(1)} s\n`);
      note(`${way.name} ${suffix}, its programs`, peakMib);
      note(`${way.name} ${suffix}, bangerd`, peakOf(daemon));
      note(`${way.name} ${suffix}, processor time of its programs`, cpuMs / 1000, 's');
      note(`${way.name} ${suffix}, processor time of bangerd`, ((cpuMsOf(daemon) ?? Number.NaN) - before) / 1000, 's');
      await assertCopied(place, load, way.name);
      return durationMs / 1000;
    },
  }));
  const times = await measureRoundRobin(rows, load.rounds(rounds.slow), load.warmUps);
  return { times, costs: [...costs.values()] };
}

async function prepare({ sandbox, scratch }: BenchContext, load: Load): Promise<void> {
  load.write(join(scratch, 'here', 'tree'));
  await createRunning(sandbox, NAME);
  await giveGuest(sandbox, NAME, ['rsync']);
}

async function measureLoad(context: BenchContext, load: Load): Promise<RowResult[]> {
  const { sandbox, scratch } = context;
  mkdirSync(join(scratch, 'here'));
  await prepare(context, load);
  try {
    const into = await measureDirection(context, load, 'into');
    // The next copy out of the guest takes what this one has brought into it.
    const out = await measureDirection(context, load, 'out');
    return [...into.times, ...out.times, ...into.costs, ...out.costs];
  } finally {
    await sandbox.must(['ssh-config', '--remove']);
    await sandbox.must(['vm', 'delete', '--force', NAME]);
  }
}

/** Both alternatives in both directions. */
function goalsOf(atMost: number): Bench['goals'] {
  return Object.fromEntries(
    ['into the guest', 'out of the guest'].map((suffix) => [
      `vm cp ${suffix}`,
      ['tar over ssh', 'rsync over ssh'].map((name) => ({ against: `${name} ${suffix}`, atMost })),
    ]),
  );
}

function copyBench(name: string, title: string, load: Load, options: Pick<Bench, 'isOnlyByName' | 'limitMinutes'> = {}): Bench {
  return { name, title, unit: 's', goals: goalsOf(2), run: (context) => measureLoad(context, load), ...options };
}

const few: Load = { write: smallFiles(3000), files: 3000, heldMib: 64, rounds: (slow) => slow, warmUps: 1 };
const long = { isOnlyByName: true, limitMinutes: 120 };

/** @param scale of the two that take longest: 1 for 100,000 files and 10 GiB */
export function copyBenches(scale: number): readonly Bench[] {
  const [files, dataMib] = [Math.round(100_000 * scale), Math.ceil(64 * scale)];
  const many: Load = { write: smallFiles(files), files, heldMib: 2048, rounds: () => 1, warmUps: 0 };
  const sparse: Load = { write: sparseFile(dataMib), files: 1, heldMib: dataMib + 16, rounds: () => 1, warmUps: 0 };
  return [
    copyBench('copy-small', '3,000 small files', few, { limitMinutes: 30 }),
    copyBench('copy-many', `${files.toLocaleString('en')} small files`, many, long),
    copyBench('copy-sparse', `${(dataMib * 160) / 1024} GiB that hold ${dataMib} MiB`, sparse, long),
  ];
}
