// The real Firecracker as an ordinary user's own process, nested in the emulated machine: the contract suite with guests, and the
// program beside the one that simulates it.
import '../../support/machine/in-lab.ts';

await import('../../e2e/hypervisor-firecracker.test.ts');
await import('../../../src/drivers/hypervisor/firecracker/binary.test.ts');
