// The contract suite on QEMU with KVM as an ordinary user, nested in the emulated machine.
import '../../support/machine/in-lab.ts';
import { describeQemu } from '../../support/vmm/qemu-contract.ts';

describeQemu('qemu', { accelerator: 'kvm', bootLimitMs: 120_000 });
