// The five benches. Each compares banger with something that a reader can run without it.
import { request } from 'node:http';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DaemonStatus, SshAccess, VmView } from '../src/api/schemas.ts';
import type { Sandbox } from '../test/support/sandbox.ts';
import { type Original, argvOf, measureBareBoot, socketDirectoryOf } from './bare-qemu.ts';
import { debvmImage, measureDebvm } from './debvm.ts';
import { type Row, type RowResult, measureRoundRobin } from './round-robin.ts';
import { timeCommand, withProgram } from './timed.ts';

const repository = join(import.meta.dirname, '..');
const banger = join(repository, 'bin', 'banger');
const SIZE = ['--vcpu', '2', '--memory', '1G'];

/** What a bench is given: a daemon of its own, a directory that is removed afterwards, and how often to measure. */
export type BenchContext = { sandbox: Sandbox; scratch: string; rounds: { slow: number; fast: number } };

export type Bench = {
  name: string;
  title: string;
  baseline: string;
  unit: string;
  run: (context: BenchContext) => Promise<RowResult[]>;
};

const timed = (sandbox: Sandbox, ...argv: string[]): Promise<number> => timeCommand(argv, sandbox.env);

async function show(sandbox: Sandbox, name: string): Promise<VmView> {
  const found = JSON.parse(await sandbox.must(['vm', 'show', name, '-o', 'json'])) as VmView | VmView[];
  const vm = Array.isArray(found) ? found[0] : found;
  if (vm === undefined) throw new Error(`vm show ${name} printed no VM`);
  return vm;
}

/** Creates a VM, measures until `command` has succeeded in it, and deletes it (not measured). */
async function measureCreate(sandbox: Sandbox, name: string, command: readonly string[]): Promise<number> {
  const begin = performance.now();
  try {
    await sandbox.must(['vm', 'create', '--name', name, ...SIZE], { timeoutMs: 300_000 });
    await sandbox.must(['vm', ...command, name, '--', 'true']);
    return performance.now() - begin;
  } finally {
    await sandbox.must(['vm', 'delete', '--force', name]);
  }
}

/** @returns what bare QEMU needs; `pristine` holds disks that never booted. */
async function copyMachine(sandbox: Sandbox, pristine: string): Promise<Original> {
  const name = 'bench-original';
  await sandbox.must(['vm', 'create', '--name', name, ...SIZE, '--no-start']);
  try {
    const diskDirectory = (await show(sandbox, name)).paths.directory;
    cpSync(diskDirectory, pristine, { recursive: true });
    await sandbox.must(['vm', 'start', name], { timeoutMs: 300_000 });
    const argv = argvOf((await show(sandbox, name)).pid ?? 0);
    return { argv, diskDirectory, socketDirectory: socketDirectoryOf(argv) };
  } finally {
    await sandbox.must(['vm', 'delete', '--force', name]);
  }
}

async function benchCreate({ sandbox, scratch, rounds }: BenchContext): Promise<RowResult[]> {
  const pristine = join(scratch, 'pristine');
  const original = await copyMachine(sandbox, pristine);
  const image = await debvmImage({ ...sandbox.env, HOME: process.env['HOME'] ?? '/' });
  const rows: Row[] = [
    { name: 'bare QEMU', measure: () => measureBareBoot(original, pristine, scratch, sandbox.env) },
    { name: 'create, then exec', measure: (round) => measureCreate(sandbox, `exec-${round}`, ['exec']) },
    { name: 'create, then ssh', measure: (round) => measureCreate(sandbox, `ssh-${round}`, ['ssh']) },
    { name: 'debvm-run, then ssh', measure: () => measureDebvm(image, sandbox.env) },
  ];
  const results = await measureRoundRobin(rows, rounds.slow);
  rmSync(pristine, { recursive: true });
  return results;
}

async function benchList({ sandbox, rounds }: BenchContext): Promise<RowResult[]> {
  await sandbox.must(['vm', 'list']);
  return measureRoundRobin(
    [
      { name: 'node -e 0', measure: () => timed(sandbox, process.execPath, '-e', '0') },
      { name: 'vm list', measure: () => timed(sandbox, banger, 'vm', 'list') },
    ],
    rounds.fast,
  );
}

function sshAccess(sandbox: Sandbox, name: string): Promise<SshAccess> {
  const socketPath = join(sandbox.env['BANGER_RUNTIME_DIR'] ?? '', 'bangerd.sock');
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path: `/v1/vms/${name}/ssh` }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(JSON.parse(text) as SshAccess));
    });
    call.on('error', reject).end();
  });
}

async function benchExec({ sandbox, scratch, rounds }: BenchContext): Promise<RowResult[]> {
  const name = 'bench-exec';
  await sandbox.must(['vm', 'create', '--name', name, ...SIZE], { timeoutMs: 300_000 });
  const access = await sshAccess(sandbox, name);
  const ssh = [
    ...[
      'ssh',
      '-i',
      access.privateKeyPath,
      '-o',
      `UserKnownHostsFile=${access.knownHostsPath}`,
      '-o',
      `HostKeyAlias=${access.hostKeyAlias}`,
    ],
    ...['-o', `ProxyCommand=${banger} internal ssh-proxy ${name}`, '-o', `ControlPath=${join(scratch, 'control')}`],
  ];
  const target = `${access.user}@${name}`;
  try {
    await timed(sandbox, ...ssh, '-fN', '-o', 'ControlMaster=yes', '-o', 'ControlPersist=yes', target);
    return await measureRoundRobin(
      [
        { name: 'ssh, ControlMaster', measure: () => timed(sandbox, ...ssh, target, 'true') },
        { name: 'vm exec', measure: () => timed(sandbox, banger, 'vm', 'exec', name, '--', 'true') },
      ],
      rounds.fast,
    );
  } finally {
    await timed(sandbox, ...ssh, '-O', 'exit', target);
    await sandbox.must(['vm', 'delete', '--force', name]);
  }
}

/** @returns proportional resident memory, MiB; pages shared with other processes count in part. */
function memoryMibOf(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

async function benchMemory({ sandbox, rounds }: BenchContext): Promise<RowResult[]> {
  const status = JSON.parse(await sandbox.must(['daemon', 'status', '-o', 'json'])) as DaemonStatus;
  await sleep(5000);
  return withProgram([process.execPath, '-e', 'setInterval(() => {}, 1e6)'], sandbox.env, async (idle) => {
    await sleep(1000);
    return measureRoundRobin(
      [
        { name: 'idle node', measure: () => Promise.resolve(memoryMibOf(idle.pid ?? 0)) },
        { name: 'idle bangerd', measure: () => Promise.resolve(memoryMibOf(status.pid)) },
      ],
      rounds.slow,
    );
  });
}

export const BENCHES: readonly Bench[] = [
  { name: 'list', title: '`vm list` against an empty Node program', baseline: 'node -e 0', unit: 'ms', run: benchList },
  { name: 'memory', title: 'Memory of the idle daemon', baseline: 'idle node', unit: 'MiB', run: benchMemory },
  { name: 'exec', title: 'A command in a running VM', baseline: 'ssh, ControlMaster', unit: 'ms', run: benchExec },
  { name: 'create', title: 'From nothing to the first command, cold', baseline: 'bare QEMU', unit: 'ms', run: benchCreate },
];
