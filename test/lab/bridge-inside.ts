// Run as an ordinary user by bridge-setup.test.ts, with the helper that systemd starts.
import { bundleSpecIn } from '../support/vmm/machine-spec.ts';
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createQemuHypervisor } from '../../src/drivers/hypervisor/qemu/driver.ts';
import { emptyOverlay } from '../../src/drivers/storage/qcow2/header.ts';
import { createAgentClient } from '../../src/guest/agent-client.ts';
import { parseManifest } from '../../src/images/bundle/manifest.ts';
import { bundlePath } from '../../src/model/image.ts';
import { addressesOf } from '../../src/model/network.ts';
import { OUTSIDE_ADDRESS } from '../support/outside/outside.ts';
import { bundleOfTests } from '../support/images/shared-bundle.ts';
import { networkConformance } from '../../src/drivers/network/conformance.ts';
import { bridgeForwarder, createBridgeNetwork } from '../../src/drivers/network/bridge/driver.ts';
import type { Machine } from '../../src/drivers/hypervisor/contract.ts';
import { realHost } from '../../src/host/host.ts';
import { helperAt } from '../support/daemon/helper-socket.ts';

const helper = helperAt('/run/banger/helper.sock');
const bundleDirectory = bundleOfTests() ?? '';
const manifestPath = join(bundleDirectory, 'bundle.json');
const bundle = { directory: bundleDirectory, manifest: parseManifest(readFileSync(manifestPath, 'utf8'), manifestPath) };
const runtimeDirectory = mkdtempSync(join(tmpdir(), 'bgr-run-'));
after(() => rmSync(runtimeDirectory, { recursive: true }));
const open = () => {
  const forwarder = bridgeForwarder({ host: realHost, forwarderPath: bundlePath(bundle, 'forwarder'), runtimeDirectory });
  return createBridgeNetwork({ host: realHost, helper, forwarder });
};

networkConformance('bridge', {
  open,
  machine: {} as Machine,
  remains: async () => {
    const { stdout } = spawnSync('ip', ['-br', 'link'], { encoding: 'utf8' });
    return [...stdout.matchAll(/^(bgr-[0-9a-f]{8}) /gm)].map(([, name = '']) => name);
  },
});

const SHELL_PORT = 8000;

/** Makes a machine on the bridge and gives its guest the network that the driver names. */
async function bootOnBridge(directory: string) {
  const vmDirectory = join(directory, 'vm');
  mkdirSync(vmDirectory, { mode: 0o700 });
  const overlayPath = join(directory, 'root.overlay');
  writeFileSync(overlayPath, emptyOverlay(bundlePath(bundle, 'rootfs'), bundle.manifest.files.rootfs.sizeBytes));
  const driver = open();
  const vm = { shortId: 'b'.repeat(8), addresses: addressesOf(2), nat: true };
  const never = new AbortController().signal;
  await driver.ensure(never);
  const attachment = await driver.attach(vm, never);
  const settings = { program: 'qemu-system-x86_64', accelerator: 'auto', probeCachePath: join(directory, 'probe.json') } as const;
  const machine = await createQemuHypervisor({ host: realHost, settings }).start(
    bundleSpecIn(directory, bundle, {
      vmId: 'b'.repeat(32),
      vmName: 'bridged',
      memoryMib: 512,
      disks: [{ path: overlayPath, format: 'qcow2', readOnly: false, durable: true }],
      network: attachment.network,
      runtimeDirectory: vmDirectory,
      commandPrefix: attachment.commandPrefix,
    }),
    never,
  );
  const agent = createAgentClient((signal) => machine.openAgentChannel(signal));
  await agent.personalize(
    {
      hostname: 'bridged',
      hosts: [],
      network: attachment.guest,
      authorizedKeys: [],
      sshHostKey: null,
      machineId: 'b'.repeat(32),
      randomSeed: Buffer.alloc(32, 7).toString('base64'),
      unixMs: 'now',
      mounts: [],
      growRoot: false,
    },
    { timeoutMs: 120_000 },
  );
  const sh = async (script: string): Promise<string> => {
    const session = await agent.openExec({ argv: ['sh', '-c', script] }, { timeoutMs: 60_000 });
    session.stdin.end();
    session.stderr.resume();
    let text = '';
    for await (const chunk of session.stdout) text += String(chunk);
    await session.exit;
    return text.trim();
  };
  return { driver, vm, machine, sh };
}

test('a real VM on the bridge is reached at its address, goes out through NAT, and no longer when that is taken (6.2)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { driver, vm, machine, sh } = await bootOnBridge(directory);
  try {
    assert.match(await sh('ip -4 -o address show eth0; ip route show default'), /10\.213\.0\.2\/16.*via 10\.213\.0\.1/s);
    const outside = `timeout 5 bash -c 'cat </dev/tcp/${OUTSIDE_ADDRESS}/80' 2>/dev/null || echo cut`;
    assert.equal(await sh(outside), 'hello 192.0.2.2');
    await sh(`setsid systemd-socket-activate --listen=0.0.0.0:${SHELL_PORT} --accept --inetd hostname >/dev/null 2>&1 &`);
    const knock = `for n in 1 2 3 4 5 6 7 8; do cat </dev/tcp/${driver.addressOnHost(vm.addresses)}/${SHELL_PORT} && break; sleep 1; done`;
    assert.equal(spawnSync('bash', ['-c', knock], { encoding: 'utf8' }).stdout.trim(), 'bridged');
    const at = { address: '127.0.0.1', port: 18_000 };
    const [forward] = await driver.setForwards(vm, [{ protocol: 'tcp', port: SHELL_PORT, at }], machine);
    assert.deepEqual([forward?.hostPort, forward?.problem], [at.port, undefined]);
    const forwarded = spawnSync('bash', ['-c', `cat </dev/tcp/${at.address}/${at.port}`], { encoding: 'utf8' });
    assert.equal(forwarded.stdout.trim(), 'bridged');
    await driver.setNat?.({ ...vm, nat: false });
    assert.equal(await sh(outside), 'cut');
    await driver.setNat?.(vm);
    assert.equal(await sh(outside), 'hello 192.0.2.2');
  } finally {
    await machine.terminate();
    await driver.sweep([]);
  }
});
