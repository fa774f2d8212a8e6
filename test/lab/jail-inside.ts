// The contract suite on jailed machines; started by test/lab/jail.test.ts as a user who may ask the helper at JAIL_SOCKET.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, after } from 'node:test';
import { describeHypervisor } from '../../src/drivers/hypervisor/conformance.ts';
import type { MachineSpec } from '../../src/drivers/hypervisor/contract.ts';
import { createFirecrackerHypervisor } from '../../src/drivers/hypervisor/firecracker/driver.ts';
import { type JailHelper, jailedLaunch, parseJailPlaces } from '../../src/drivers/hypervisor/firecracker/jail.ts';
import { realHost } from '../../src/host/host.ts';
import { parseManifest } from '../../src/images/bundle/manifest.ts';
import { converseWithRoot } from '../../src/lib/line-protocol.ts';
import { BangerError } from '../../src/model/errors.ts';
import { bundleSpecIn } from '../support/vmm/machine-spec.ts';
import { bundleOfTests } from '../support/images/shared-bundle.ts';

const ROOT_BYTES = 16 * 1024 ** 2;
const socketPath = process.env['JAIL_SOCKET'] ?? '';

const helper: JailHelper = {
  ask: async (request) => {
    const [reply] = await converseWithRoot(socketPath, [request], 30_000);
    if (reply?.ok === true) return reply.lines;
    throw new BangerError('VMM_FAILED', reply?.text ?? 'no answer', { details: { errno: reply?.errno } });
  },
};

const places = parseJailPlaces(await helper.ask('hello'));
if (places === undefined) throw new Error('the helper cannot make jails');
const launch = jailedLaunch({ host: realHost, helper, places });
const scratch = mkdtempSync('/var/tmp/bgr-');
after(() => rmSync(scratch, { recursive: true, force: true }));

const directory = bundleOfTests() ?? '';
const bundle = { directory, manifest: parseManifest(readFileSync(join(directory, 'bundle.json'), 'utf8'), directory) };
const rootPath = join(scratch, 'root');
// The guest mounts its root but stays in the initramfs, whose agent is all this suite talks to.
writeFileSync(rootPath, '');
await realHost.extendSparse(rootPath, ROOT_BYTES);
await realHost.run(['mkfs.ext4', '-q', rootPath]);

let count = 0;
function createSpec(t: TestContext): MachineSpec {
  const own = join(scratch, `${count++}`);
  mkdirSync(own, { mode: 0o700 });
  t.after(() => rmSync(own, { recursive: true, force: true }));
  copyFileSync(rootPath, join(own, 'root'));
  return bundleSpecIn(own, bundle, {
    vmId: count.toString(16).padStart(8, '0').padEnd(32, '0'),
    disks: [{ path: join(own, 'root'), format: 'raw', readOnly: false, durable: true }],
  });
}

describeHypervisor('firecracker, jailed', {
  createDriver: () =>
    createFirecrackerHypervisor({
      host: realHost,
      launch,
      settings: { program: process.env['BANGER_FIRECRACKER'] ?? '', accelerator: 'kvm', probeCachePath: join(scratch, 'probe.json') },
    }),
  createSpec,
  // In a lab that is itself emulated a guest takes 15 to 30 s.
  bootLimitMs: 120_000,
  // Ctrl-Alt-Del comes before the guest has a keyboard driver.
  obeysShutdown: false,
});
