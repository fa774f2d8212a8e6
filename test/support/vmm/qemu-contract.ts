// What the contract suite of hypervisors needs to test real QEMU with the official bundle.
import { bundleSpecIn } from './machine-spec.ts';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, after } from 'node:test';
import { describeForks } from '../../../src/drivers/hypervisor/conformance-forks.ts';
import type { HypervisorBench } from '../../../src/drivers/hypervisor/conformance-guest.ts';
import { describeHypervisor } from '../../../src/drivers/hypervisor/conformance.ts';
import type { MachineSpec } from '../../../src/drivers/hypervisor/contract.ts';
import { createQemuHypervisor } from '../../../src/drivers/hypervisor/qemu/driver.ts';
import { emptyOverlay } from '../../../src/drivers/storage/qcow2/header.ts';
import { realHost } from '../../../src/host/host.ts';
import { parseManifest } from '../../../src/images/bundle/manifest.ts';
import { bundlePath } from '../../../src/model/image.ts';
import { bundleOfTests } from '../images/shared-bundle.ts';

const bundleDirectory = bundleOfTests();
if (bundleDirectory === undefined) throw new Error('there is no runtime bundle: make bundle, or set BANGER_BUNDLE');
const manifestPath = join(bundleDirectory, 'bundle.json');
const bundle = { directory: bundleDirectory, manifest: parseManifest(readFileSync(manifestPath, 'utf8'), manifestPath) };

/** Declares the suite. @param name of this driver in the table of conformance @returns what further tests start machines with */
export function describeQemu(name: string, options: { accelerator: 'auto' | 'kvm'; bootLimitMs: number }): HypervisorBench {
  const scratch = mkdtempSync(join(tmpdir(), 'bgr-'));
  let count = 0;
  after(() => rmSync(scratch, { recursive: true, force: true }));
  const { accelerator, bootLimitMs } = options;
  const settings = { program: 'qemu-system-x86_64', accelerator, probeCachePath: join(scratch, 'probe.json') } as const;
  const bench = {
    createDriver: () => createQemuHypervisor({ host: realHost, settings }),
    createSpec: (t: TestContext) => createSpec(t, join(scratch, `${count++}`)),
    // An overlay that nobody has written to is as good as a blank one.
    createForkSpec: (t: TestContext) => createSpec(t, join(scratch, `${count++}`)),
    keepsChannels: true,
    bootLimitMs,
    obeysShutdown: false,
  };
  describeHypervisor(name, bench);
  describeForks(name, bench);
  return bench;
}

function createSpec(t: TestContext, directory: string): MachineSpec {
  mkdirSync(directory, { mode: 0o700 });
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const overlayPath = join(directory, 'root.overlay');
  writeFileSync(overlayPath, emptyOverlay(bundlePath(bundle, 'rootfs'), bundle.manifest.files.rootfs.sizeBytes));
  return bundleSpecIn(directory, bundle, {
    disks: [{ path: overlayPath, format: 'qcow2', readOnly: false, durable: true }],
    network: { kind: 'user', macAddress: '02:00:00:00:00:01', restricted: true },
  });
}
