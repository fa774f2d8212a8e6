import { type LeakScope, processesOf } from '../machine/leak-check.ts';

/** QEMU or Firecracker with a VM, but neither a probe of the host nor a process that will exec the VMM. */
const VMM = /^\S*(?:qemu-system\S* .*-name guest=|firecracker .*--api-sock)/;

/** @returns pids of all VMMs of a sandbox, of any kind and from any daemon */
export function vmmsOf(scope: LeakScope): number[] {
  return processesOf(scope)
    .filter(({ command }) => VMM.test(command))
    .map(({ pid }) => pid);
}
