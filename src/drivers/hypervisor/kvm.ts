export const KVM_DEVICE = '/dev/kvm';

/** @returns whether the processor claims to support guests. This is only a hint: a host may hide the flag or claim it in vain. */
export function hasVirtualisationFlag(cpuinfo: string): boolean {
  return /^flags\s*:.*\b(vmx|svm)\b/m.test(cpuinfo);
}

/** @returns why /dev/kvm cannot be opened, and the remedy. @param problem errno name, e.g. ENOENT */
export function explainKvmProblem(problem: string, hasCpuFlag: boolean): { reason: string; remedy: string } {
  if (problem !== 'ENOENT') {
    return {
      reason: `you cannot open /dev/kvm (${problem}); members of the group kvm can, after their next login`,
      remedy: 'sudo usermod -aG kvm "$USER"',
    };
  }
  const remedy = hasCpuFlag ? 'sudo modprobe kvm_intel || sudo modprobe kvm_amd' : 'enable virtualisation in the firmware settings';
  return { reason: 'there is no /dev/kvm', remedy };
}
