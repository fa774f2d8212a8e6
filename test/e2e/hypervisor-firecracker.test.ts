// Runs the contract suite on real Firecracker with the official bundle; needs KVM, and BANGER_FIRECRACKER to name the program.
import { bundleSpecIn } from '../support/vmm/machine-spec.ts';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, after, test } from 'node:test';
import { describeForks } from '../../src/drivers/hypervisor/conformance-forks.ts';
import { describeHypervisor } from '../../src/drivers/hypervisor/conformance.ts';
import type { MachineSpec } from '../../src/drivers/hypervisor/contract.ts';
import type { FirecrackerSettings } from '../../src/drivers/hypervisor/firecracker/checks.ts';
import { createFirecrackerHypervisor } from '../../src/drivers/hypervisor/firecracker/driver.ts';
import { realHost } from '../../src/host/host.ts';
import { firstFailure } from '../../src/model/finding.ts';
import { parseManifest } from '../../src/images/bundle/manifest.ts';
import { realFirecracker } from '../support/vmm/firecracker/bench.ts';
import { bundleOfTests } from '../support/images/shared-bundle.ts';

const ROOT_BYTES = 16 * 1024 ** 2;

const scratch = mkdtempSync(join(tmpdir(), 'bgr-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const settings: FirecrackerSettings = {
  program: realFirecracker()?.program ?? 'firecracker',
  accelerator: 'auto',
  probeCachePath: join(scratch, 'probe.json'),
};
const bundleDirectory = bundleOfTests();
const problem = await findProblem();
if (problem === undefined) await describeFirecracker(bundleDirectory ?? '');
else test('hypervisor contract: firecracker', { skip: problem }, () => undefined);

async function findProblem(): Promise<string | undefined> {
  if (realFirecracker() === undefined) return 'BANGER_FIRECRACKER does not name a Firecracker';
  if (bundleDirectory === undefined) throw new Error('there is no runtime bundle: make bundle, or set BANGER_BUNDLE');
  return firstFailure(await createFirecrackerHypervisor({ host: realHost, settings }).checks())?.reason;
}

async function describeFirecracker(directory: string): Promise<void> {
  const manifestPath = join(directory, 'bundle.json');
  const bundle = { directory, manifest: parseManifest(readFileSync(manifestPath, 'utf8'), manifestPath) };
  const rootPath = join(scratch, 'root');
  // The guest mounts its root but stays in the initramfs, whose agent is all this suite talks to.
  writeFileSync(rootPath, '');
  await realHost.extendSparse(rootPath, ROOT_BYTES);
  await realHost.run(['mkfs.ext4', '-q', rootPath]);
  let count = 0;
  const createSpec = (t: TestContext): MachineSpec => {
    const own = join(scratch, `${count++}`);
    mkdirSync(own, { mode: 0o700 });
    t.after(() => rmSync(own, { recursive: true, force: true }));
    copyFileSync(rootPath, join(own, 'root'));
    return bundleSpecIn(own, bundle, { disks: [{ path: join(own, 'root'), format: 'raw', readOnly: false, durable: true }] });
  };
  const bench = {
    createDriver: () => createFirecrackerHypervisor({ host: realHost, settings }),
    createSpec,
    createForkSpec: createSpec,
    keepsChannels: false,
    // In a lab VM that is itself emulated a guest takes 15 to 30 s.
    bootLimitMs: 120_000,
    // Ctrl-Alt-Del comes before the guest has a keyboard driver.
    obeysShutdown: false,
  };
  describeHypervisor('firecracker', bench);
  describeForks('firecracker', bench);
}
