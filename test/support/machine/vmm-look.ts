// Tells of a guest that does not answer whether it is busy, asleep or stopped, and what it last said.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LeakScope, processesOf } from './leak-check.ts';

const LOOK_MS = 500;
/** Linux reports it in this unit on every machine (proc(5), `sysconf(_SC_CLK_TCK)`). */
const TICK_MS = 10;
const SHOWN_LINES = 3;

/** @returns lines on each VMM of the scope: its threads with their states and shares of a CPU, and the end of its guest's serial log */
export async function describeVmms(scope: LeakScope): Promise<string> {
  const vmms = processesOf(scope).filter(({ command }) => /qemu-system|firecracker/.test(command.split(' ', 1)[0] ?? ''));
  const before = vmms.map(({ pid }) => threadsOf(pid));
  if (vmms.length > 0) await sleep(LOOK_MS);
  const told = vmms.map(({ pid }, index) => {
    const threads = threadsOf(pid).map(({ id, name, state, ticks }) => {
      const spent = ticks - (before[index]?.find((thread) => thread.id === id)?.ticks ?? ticks);
      return `${name} ${state} ${Math.round((spent * TICK_MS * 100) / LOOK_MS)} %`;
    });
    return `VMM ${pid}: ${threads.join(', ')}\n`;
  });
  return [...told, ...(vmms.length > 0 ? scope.directories.flatMap(serialTails) : [])].join('');
}

type Thread = { id: string; name: string; state: string; ticks: number };

function threadsOf(pid: number): Thread[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((id) => {
      const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
      const [, name = '', rest = ''] = /\((.*)\) (.*)/s.exec(stat) ?? [];
      const fields = rest.split(' ');
      return [{ id, name, state: fields[0] ?? '', ticks: Number(fields[11]) + Number(fields[12]) }];
    });
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function serialTails(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('serial.log'))
      .map((path) => `${path}:\n${readFileSync(join(directory, path), 'utf8').trimEnd().split('\n').slice(-SHOWN_LINES).join('\n')}\n`);
  } catch {
    // A directory of it went away meanwhile.
    return [];
  }
}
