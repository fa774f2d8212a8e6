// What all benches share.
import { request } from 'node:http';
import { join } from 'node:path';
import type { SshAccess, VmView } from '../src/api/schemas.ts';
import type { Sandbox } from '../test/support/machine/sandbox.ts';
import type { RowResult } from './round-robin.ts';
import type { Goal } from './table.ts';
import { timeCommand } from './timed.ts';

export const banger = join(import.meta.dirname, '..', 'bin', 'banger');
export const SIZE = ['--vcpu', '2', '--memory', '1G'];

/** What a bench gets: a daemon of its own, a directory that is removed afterwards, and how often to measure. */
export type BenchContext = { sandbox: Sandbox; scratch: string; rounds: { slow: number; fast: number } };

export type Bench = {
  name: string;
  title: string;
  unit: string;
  /** By name of the row. */
  goals: Readonly<Record<string, readonly Goal[]>>;
  /** It takes so long that it only runs if it is named. */
  isOnlyByName?: boolean;
  /** Twice what it takes on an ordinary machine; default 10. */
  limitMinutes?: number;
  run: (context: BenchContext) => Promise<RowResult[]>;
};

/** @returns milliseconds that a command took in the sandbox's environment */
export const timed = (sandbox: Sandbox, ...argv: string[]): Promise<number> => timeCommand(argv, sandbox.env);

/** Creates a running VM. */
export async function createRunning(sandbox: Sandbox, name: string): Promise<void> {
  await sandbox.must(['vm', 'create', '--name', name, ...SIZE], { timeoutMs: 300_000 });
}

export async function showVm(sandbox: Sandbox, name: string): Promise<VmView> {
  const found = JSON.parse(await sandbox.must(['vm', 'show', name, '-o', 'json'])) as VmView | VmView[];
  const vm = Array.isArray(found) ? found[0] : found;
  if (vm === undefined) throw new Error(`vm show ${name} printed no VM`);
  return vm;
}

/** @returns how ssh reaches a VM */
export function sshAccess(sandbox: Sandbox, name: string): Promise<SshAccess> {
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
