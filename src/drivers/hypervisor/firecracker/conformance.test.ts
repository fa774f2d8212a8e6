// Runs the contract suite on the driver and a simulated Firecracker process, on any host.
import { createFirecrackerHypervisor } from './driver.ts';
import { describeHypervisor } from '../conformance.ts';
import { realHost } from '../../../host/host.ts';
import { createSpec, fakeFirecracker } from '../../../../test/support/vmm/firecracker/bench.ts';

const settings = fakeFirecracker();
describeHypervisor('firecracker, simulated', {
  createDriver: () => createFirecrackerHypervisor({ host: realHost, settings }),
  createSpec,
  bootLimitMs: 20_000,
  obeysShutdown: true,
});
