// Boots many machines on a busy host and counts how many hung, how many hangs were recognised, and how many machines came up after a
// restart:
//   node bench/boots.ts COUNT [--load N] [--stops] [--kernel ARGUMENT]
// --load N runs N busy loops beside them; --stops takes the processors away from each guest for a while in its first second; --kernel
// nolapic_timer makes it hang.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Machine, MachineSpec } from '../src/drivers/hypervisor/contract.ts';
import { createQemuHypervisor } from '../src/drivers/hypervisor/qemu/driver.ts';
import { realHost } from '../src/host/host.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    load: { type: 'string', default: '0' },
    stops: { type: 'boolean', default: false },
    at: { type: 'string', default: '2' },
    kernel: { type: 'string', multiple: true, default: [] },
  },
});
const COUNT = Number(positionals[0] ?? '20');
const MOST_BOOTS = 4;
const bundle = join(import.meta.dirname, '../runtime');
const scratch = mkdtempSync(join(tmpdir(), 'bgr-boots-'));
const part = (prefix: string): string => join(bundle, readdirSync(bundle).find((name) => name.startsWith(prefix)) ?? prefix);
const driver = createQemuHypervisor({
  host: realHost,
  settings: { program: 'qemu-system-x86_64', accelerator: 'tcg', probeCachePath: join(scratch, 'probe.json') },
});

async function specOf(number: number): Promise<MachineSpec> {
  const directory = join(scratch, String(number));
  await realHost.makePrivateDirectory(directory);
  const overlay = join(directory, 'root.qcow2');
  await realHost.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', part('rootfs'), overlay]);
  return {
    vmId: String(number).padStart(32, '0'),
    vmName: `boot${number}`,
    vcpuCount: 2,
    memoryMib: 256,
    kernelPath: part('vmlinux'),
    initramfsPath: part('initramfs'),
    kernelArguments: ['banger.root=/dev/vda', 'banger.wait=1', ...values.kernel],
    disks: [{ path: overlay, format: 'qcow2', readOnly: false, durable: false }],
    network: { kind: 'none' },
    runtimeDirectory: directory,
    serialLogPath: join(directory, 'serial.log'),
    vmmLogPath: join(directory, 'vmm.log'),
    commandPrefix: [],
  };
}

/** What a busy host does by chance: 110 to 410 ms away from the processor, many times. */
async function takeProcessorsAway({ process }: Machine): Promise<void> {
  for (let count = 0; count < 12; count++) {
    await sleep(Math.random() * 150);
    realHost.signalProcess(process, 'SIGSTOP');
    await sleep(110 + Math.random() * 300);
    realHost.signalProcess(process, 'SIGCONT');
  }
}

/** @returns why each boot before the successful one hung */
async function bootOne(number: number): Promise<string[]> {
  const spec = await specOf(number);
  const reasons: string[] = [];
  for (;;) {
    const limit = new AbortController();
    const machine = await driver.start(spec, limit.signal);
    const timer = setTimeout(() => limit.abort(), 180_000);
    const stops = values.stops ? takeProcessorsAway(machine) : undefined;
    const answered = machine.openAgentChannel(limit.signal).then(
      (channel) => {
        channel.release();
        return undefined;
      },
      () => 'it did not answer within 180 seconds, and nobody recognised it',
    );
    const reason = await Promise.race([answered, machine.hung ?? new Promise<never>(() => undefined)]);
    clearTimeout(timer);
    await stops;
    await machine.terminate();
    await driver.cleanUp(spec);
    if (reason === undefined) break;
    reasons.push(reason);
    if (reasons.length === MOST_BOOTS) throw new Error(`boot ${number} hung every time: ${reasons.join('; ')}`);
  }
  rmSync(spec.runtimeDirectory, { recursive: true });
  return reasons;
}

const loops: ChildProcess[] = Array.from({ length: Number(values.load) }, () => spawn('sh', ['-c', 'while :; do :; done']));
const startedAt = performance.now();
const seen: string[] = [];
let failed = 0;
let next = 0;
async function worker(): Promise<void> {
  for (let number = next++; number < COUNT; number = next++) {
    try {
      const reasons = await bootOne(number);
      seen.push(...reasons);
      if (reasons.length > 0) console.log(`${number}: ${reasons.join('; ')}; then it came up`);
    } catch (error) {
      failed++;
      console.log(error instanceof Error ? error.message : String(error));
    }
    if (number % 20 === 19)
      console.log(`${number + 1} begun after ${Math.round((performance.now() - startedAt) / 1000)} s, load ${loadavg()[0]?.toFixed(1)}`);
  }
}
try {
  await Promise.all(Array.from({ length: Number(values.at) }, worker));
} finally {
  for (const loop of loops) loop.kill('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${COUNT} boots: ${seen.length} hung and were started again, ${failed} failed; load ${loadavg()[0]?.toFixed(1)}`);
