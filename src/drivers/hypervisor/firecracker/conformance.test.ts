// Runs the contract suite on the driver and a simulated Firecracker process, on any host.
import { createFirecrackerHypervisor } from './driver.ts';
import { describeForks } from '../conformance-forks.ts';
import { describeHypervisor } from '../conformance.ts';
import { realHost } from '../../../host/host.ts';
import { createSpec, fakeFirecracker } from '../../../../test/support/vmm/firecracker/bench.ts';

const settings = fakeFirecracker();
const bench = {
  createDriver: () => createFirecrackerHypervisor({ host: realHost, settings }),
  createSpec,
  createForkSpec: createSpec,
  keepsChannels: false,
  bootLimitMs: 20_000,
  obeysShutdown: true,
};
describeHypervisor('firecracker, simulated', bench);
describeForks('firecracker, simulated', bench);
