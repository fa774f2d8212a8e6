// Runs the contract suite on real QEMU with the official bundle; takes about half a minute under emulation.
import { describeQemu } from '../support/vmm/qemu-contract.ts';

describeQemu('qemu', { accelerator: 'auto', bootLimitMs: 60_000 });
