import { type LeakScope, processesOf } from '../machine/leak-check.ts';

/** QEMU or Firecracker with a VM; not what finds out for a moment what the host can do, nor what becomes a VMM by exec. */
const VMM = /^\S*(?:qemu-system\S* .*-name guest=|firecracker .*--api-sock)/;

/** @returns pids of all VMMs of a sandbox, whatever they are and whoever started them */
export function vmmsOf(scope: LeakScope): number[] {
  return processesOf(scope)
    .filter(({ command }) => VMM.test(command))
    .map(({ pid }) => pid);
}
