export const KVM_DEVICE = '/dev/kvm';

/** @returns whether the processor claims to support guests. This is only a hint: a host may hide the flag or claim it in vain. */
export function hasVirtualisationFlag(cpuinfo: string): boolean {
  return /^flags\s*:.*\b(vmx|svm)\b/m.test(cpuinfo);
}

/** @returns why /dev/kvm cannot be opened, and the remedy. @param problem errno name, e.g. ENOENT */
export function explainKvmProblem(problem: string, hasCpuFlag: boolean): { reason: string; remedy: string } {
  if (problem !== 'ENOENT') {
    return {
      reason: `/dev/kvm is not open to you (${problem}), as it is to the group kvm from its next login on`,
      remedy: 'sudo usermod -aG kvm "$USER"',
    };
  }
  const remedy = hasCpuFlag ? 'sudo modprobe kvm_intel || sudo modprobe kvm_amd' : 'switch virtualisation on in the firmware set-up';
  return { reason: 'there is no /dev/kvm', remedy };
}
