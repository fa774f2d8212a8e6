import { dirname, join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import type { Finding } from '../../../model/finding.ts';
import { KVM_DEVICE, explainKvmProblem, hasVirtualisationFlag } from '../kvm.ts';
import { boundProbe } from '../probe-limit.ts';
import { measureTscKhz, preferExact } from './clock-probe.ts';
import { SPEED_PROBE_STATUS, speedProbeFirmware } from './probe-programs.ts';
import { given } from '../../../lib/given.ts';

/** CPU time. On a slow host, starting QEMU alone may take longer than this. Then the limit is what KVM may take to count as fast. */
const KVM_LIMIT_MS = 1000;
/** Emulation always works in the end; a busy host may be slow to start QEMU. */
const PROGRAM_LIMIT_MS = 20_000;
/** A busy host makes any single run slow. Judged by one, the host would be without KVM until it boots again. */
const ROUNDS = 4;
/** Below this KVM is fine, whatever TCG took: starting QEMU alone takes 20 to 30 ms. */
const SURELY_FAST_MS = 120;

/** The duration of the same small program; undefined if it did not end properly within its limit. */
export type SpeedProbe = { kvmMs?: number; tcgMs?: number };

/** The measurements of this host, with the key of what they depend on. */
export type Acceleration = {
  key: string;
  kvm: Finding;
  /** For guests under TCG. */
  tscKhz?: number;
};

/** @returns whether a probe shows that KVM runs an ordinary kernel at an ordinary speed */
export function isKvmFast(probe: SpeedProbe): boolean {
  if (probe.kvmMs === undefined) return false;
  return probe.kvmMs <= SURELY_FAST_MS || (probe.tcgMs !== undefined && probe.kvmMs <= 2 * probe.tcgMs);
}

/** @returns the finding on /dev/kvm, from facts that were gathered before. @param hasCpuFlag vmx or svm in /proc/cpuinfo */
export function judgeKvm(facts: { problem?: string; probe?: SpeedProbe; hasCpuFlag: boolean }): Finding {
  const name = 'kvm';
  if (facts.problem !== undefined) {
    const { reason, remedy } = explainKvmProblem(facts.problem, facts.hasCpuFlag);
    return { name, level: 'warn', reason: `${reason}, so VMs run under emulation`, remedy };
  }
  const probe = facts.probe ?? {};
  const times = `a test program took ${describeMs(probe.kvmMs, kvmLimitMs(probe.tcgMs))} with KVM and ${describeMs(probe.tcgMs, PROGRAM_LIMIT_MS)} without`;
  if (isKvmFast(probe)) return { name, level: 'pass', reason: `KVM works: ${times}` };
  const kind = facts.hasCpuFlag ? 'KVM does not work properly' : 'KVM is only paravirtual here (no vmx or svm in /proc/cpuinfo)';
  const reason = `${kind}, so VMs run under emulation: ${times}`;
  return { name, level: 'warn', reason, remedy: 'use a host with hardware or nested virtualisation for full speed' };
}

/** @returns after how long KVM is given up */
function kvmLimitMs(tcgMs: number | undefined): number {
  return Math.max(KVM_LIMIT_MS, Math.round(2 * (tcgMs ?? 0)));
}

function describeMs(milliseconds: number | undefined, limitMs: number): string {
  return milliseconds === undefined ? `more than ${limitMs} ms or failed` : `${Math.round(milliseconds)} ms`;
}

/** Running probes, by cache: two at once would slow each other down and give wrong results. */
const underWay = new Map<string, Promise<Acceleration>>();

/**
 * Measures once per host boot, QEMU and /dev/kvm what this host can do; later calls read the result from `cachePath`.
 * No caller can cancel it, because others may wait for the same result; it takes a few seconds at most.
 * @param qemuPath absolute
 */
export function learnAcceleration(host: Host, qemuPath: string, cachePath: string): Promise<Acceleration> {
  const running = underWay.get(cachePath);
  if (running !== undefined) return running;
  const learning = learn(host, qemuPath, cachePath).finally(() => underWay.delete(cachePath));
  underWay.set(cachePath, learning);
  return learning;
}

async function learn(host: Host, qemuPath: string, cachePath: string): Promise<Acceleration> {
  const problem = await host.readWriteProblem(KVM_DEVICE);
  const key = await accelerationKey(host, qemuPath, problem);
  const cached = parseCache(await host.readIfThere(cachePath));
  if (cached?.key === key) return cached;
  const directory = `${cachePath}.probe`;
  await host.makePrivateDirectory(dirname(cachePath));
  await host.makePrivateDirectory(directory);
  try {
    const cpuinfo = (await host.readIfThere('/proc/cpuinfo')) ?? '';
    const hasCpuFlag = hasVirtualisationFlag(cpuinfo);
    const probe = problem === undefined ? await probeSpeed(host, qemuPath, directory) : undefined;
    const kvm = judgeKvm({ ...given({ problem, probe }), hasCpuFlag });
    const measured = await measureTscKhz(host, qemuPath, directory);
    const learned = { key, kvm, ...(measured === undefined ? {} : { tscKhz: preferExact(measured, cpuinfo) }) };
    // The result of a starved probe counts only once.
    if (measured !== undefined) await host.writeFileAtomic(cachePath, JSON.stringify(learned));
    return learned;
  } finally {
    await host.removeTree(directory);
  }
}

async function accelerationKey(host: Host, qemuPath: string, problem: string | undefined): Promise<string> {
  const identities = await Promise.all([KVM_DEVICE, qemuPath].map((path) => host.fileIdentity(path)));
  return [host.bootId(), problem ?? 'open', ...identities].join(' ');
}

function parseCache(text: string | undefined): Acceleration | undefined {
  try {
    const value = JSON.parse(text ?? 'null') as Acceleration | null;
    const whole = typeof value?.key === 'string' && typeof value.kvm?.level === 'string' && typeof value.kvm.reason === 'string';
    return whole ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Runs the same firmware with and without KVM, in turn, until KVM proves to be fast. The best run of each counts. */
async function probeSpeed(host: Host, qemuPath: string, directory: string): Promise<SpeedProbe> {
  const firmware = join(directory, 'speed.bin');
  await host.writeFileAtomic(firmware, speedProbeFirmware());
  const timed = async (accelerator: 'kvm' | 'tcg', limitMs: number): Promise<number | undefined> => {
    const begin = performance.now();
    const argv = [
      ...[qemuPath, '-M', `microvm,accel=${accelerator}`, '-m', '16', '-bios', firmware, '-nodefaults', '-no-user-config'],
      ...['-display', 'none', '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ];
    // A KVM that hangs does so at full speed.
    const bound = boundProbe(argv, Math.ceil(limitMs / 1000));
    const status = await host.run(bound, { timeoutMs: PROGRAM_LIMIT_MS }).then(
      () => 0,
      (error: { outcome?: { exitCode: number | null } }) => error.outcome?.exitCode,
    );
    return status === SPEED_PROBE_STATUS ? performance.now() - begin : undefined;
  };
  let best: SpeedProbe = {};
  for (let round = 0; round < ROUNDS && !isKvmFast(best); round++) {
    const tcgMs = await timed('tcg', PROGRAM_LIMIT_MS);
    const kvmMs = await timed('kvm', kvmLimitMs(tcgMs));
    best = { ...given({ kvmMs: least(best.kvmMs, kvmMs), tcgMs: least(best.tcgMs, tcgMs) }) };
    // A probe that never ended is not run again: a hanging KVM takes its whole limit each time.
    if (kvmMs === undefined) break;
  }
  return best;
}

function least(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
