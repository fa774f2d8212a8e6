import { dirname } from 'node:path';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { HypervisorChecks } from '../contract.ts';
import { KVM_DEVICE, explainKvmProblem, hasVirtualisationFlag } from '../kvm.ts';
import { OLDEST_VERSION, type Version, isAtLeast } from './machine-config.ts';
import { PROGRAM_START_LIMIT_MS } from '../probe-limit.ts';
import { PROBE_ROUNDS, type SpeedProbe, isFast, probeSpeed } from './speed-probe.ts';
import { given } from '../../../lib/given.ts';

export type FirecrackerSettings = {
  /** Name or absolute path of firecracker. */
  program: string;
  /** `kvm` is used without a test; with `tcg` Firecracker is unusable. */
  accelerator: 'auto' | 'kvm' | 'tcg';
  /** File that keeps measurements of this host until its next boot. */
  probeCachePath: string;
};

const REMEDY = 'banger bundle fetch firecracker';

/** @returns the version in the output of `--version`, or in an answer of the API */
export function parseVersion(printed: string): Version | undefined {
  const match = /^(?:Firecracker v)?(\d+)\.(\d+)\./.exec(printed);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

/** @returns whether the output of `--version` is from a Firecracker that banger supports */
export function judgeProgram(program: string, printed: string | undefined): Finding {
  const name = 'firecracker';
  if (printed === undefined) return { name, level: 'fail', reason: `${program} is not installed or does not start`, remedy: REMEDY };
  const version = parseVersion(printed);
  if (version !== undefined && isAtLeast(version, OLDEST_VERSION)) return { name, level: 'pass', reason: printed };
  return {
    name,
    level: 'fail',
    reason: `${printed || program} is older than ${OLDEST_VERSION.major}.${OLDEST_VERSION.minor}`,
    remedy: REMEDY,
  };
}

/** @returns the finding on KVM for Firecracker, from facts that were gathered before */
export function judgeKvm(facts: { problem?: string; probe?: SpeedProbe; hasCpuFlag: boolean }): Finding {
  const name = 'firecracker.kvm';
  if (facts.problem !== undefined) return { name, level: 'fail', ...explainKvmProblem(facts.problem, facts.hasCpuFlag) };
  const remedy = 'use a host with hardware or nested virtualisation, or QEMU';
  const probe = facts.probe ?? { failure: 'nothing was tried' };
  if ('failure' in probe) return { name, level: 'fail', reason: `a test program did not run: ${probe.failure}`, remedy };
  const time = `${PROBE_ROUNDS} rounds of a loop took ${Math.round(probe.loopMs)} ms, starting took ${Math.round(probe.startMs)} ms`;
  if (isFast(probe)) return { name, level: 'pass', reason: `KVM works: ${time}` };
  const kind = facts.hasCpuFlag ? 'KVM is too slow to use' : 'KVM is only paravirtual here (no vmx or svm in /proc/cpuinfo)';
  return { name, level: 'fail', reason: `${kind}: ${time}`, remedy };
}

/** The last trial for each cache path. */
const trials = new Map<string, Promise<Finding>>();

/** With and without a jail it is the same trial in the same directory. Two at once would slow each other down and give wrong results. */
function inTurn(place: string, trial: () => Promise<Finding>): Promise<Finding> {
  const turn = (trials.get(place) ?? Promise.resolve()).then(trial, trial);
  trials.set(place, turn);
  return turn;
}

/** What is known of this host's Firecracker. It is measured again only if program, device or boot have changed. */
export class FirecrackerInstallation {
  readonly #host: Host;
  readonly #settings: FirecrackerSettings;
  #printed: { identity: string | undefined; text: string | undefined } | undefined;
  #judging: Promise<Finding> | undefined;
  #learned: { key: string; kvm: Finding } | undefined;

  constructor(host: Host, settings: FirecrackerSettings) {
    this.#host = host;
    this.#settings = settings;
  }

  /** @returns what `start` uses. @throws PREREQUISITE_MISSING if there is no Firecracker, or no KVM that it can use */
  async locate(): Promise<{ program: string; version: Version }> {
    const { program, printed, findings } = await this.#judge();
    const failed = findings.find(({ level }) => level === 'fail');
    const version = parseVersion(printed ?? '');
    if (failed === undefined && program !== undefined && version !== undefined) return { program, version };
    throw new BangerError('PREREQUISITE_MISSING', `Firecracker cannot be used: ${failed?.reason}`, { remedy: failed?.remedy ?? REMEDY });
  }

  /** All findings about Firecracker on this host. */
  async check(signal?: AbortSignal): Promise<HypervisorChecks> {
    const { printed, findings } = await this.#judge(signal);
    return { accelerator: 'kvm', ...given({ version: printed }), findings };
  }

  async #judge(signal?: AbortSignal): Promise<{ program: string | undefined; printed: string | undefined; findings: Finding[] }> {
    const { program: wanted, accelerator } = this.#settings;
    const program = await this.#host.findProgram(wanted, this.#host.commandEnvironment()['PATH'] ?? '');
    const printed = program === undefined ? undefined : await this.#versionOf(program, signal);
    const finding = judgeProgram(wanted, printed);
    if (program === undefined || finding.level === 'fail') return { program, printed, findings: [finding] };
    const kvm = accelerator === 'auto' ? await this.#judgeKvm(program) : overrideFinding(accelerator);
    return { program, printed, findings: [finding, kvm] };
  }

  async #versionOf(program: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const identity = await this.#host.fileIdentity(program);
    if (this.#printed !== undefined && this.#printed.identity === identity) return this.#printed.text;
    try {
      const limits = { timeoutMs: PROGRAM_START_LIMIT_MS, ...given({ signal }) };
      const { stdout } = await this.#host.run([program, '--version'], limits);
      const text = stdout.split('\n')[0]?.trim();
      this.#printed = { identity, text };
      return text;
    } catch {
      return undefined;
    }
  }

  #judgeKvm(program: string): Promise<Finding> {
    this.#judging ??= inTurn(this.#settings.probeCachePath, () => this.#learnKvm(program)).finally(() => (this.#judging = undefined));
    return this.#judging;
  }

  async #learnKvm(program: string): Promise<Finding> {
    const host = this.#host;
    const { probeCachePath } = this.#settings;
    const problem = await host.readWriteProblem(KVM_DEVICE);
    // Not the times of the device: udev(7) changes them whenever a machine starts or ends.
    const key = [host.bootId(), problem ?? 'open', await host.fileIdentity(program)].join(' ');
    if (this.#learned?.key !== key) this.#learned = parseCache(await host.readIfThere(probeCachePath));
    if (this.#learned?.key === key) return this.#learned.kvm;
    const hasCpuFlag = hasVirtualisationFlag((await host.readIfThere('/proc/cpuinfo')) ?? '');
    await host.makePrivateDirectory(dirname(probeCachePath));
    const probe = problem === undefined ? await this.#probe(program) : undefined;
    const kvm = judgeKvm({ hasCpuFlag, ...given({ probe, problem }) });
    this.#learned = { key, kvm };
    // The reason for a failed trial may pass; the next daemon tries again.
    if (probe !== undefined && 'loopMs' in probe) await host.writeFileAtomic(probeCachePath, JSON.stringify(this.#learned));
    return kvm;
  }

  async #probe(program: string): Promise<SpeedProbe> {
    const directory = `${this.#settings.probeCachePath}.probe`;
    await this.#host.makePrivateDirectory(directory);
    try {
      return await probeSpeed(this.#host, program, directory);
    } finally {
      await this.#host.removeTree(directory);
    }
  }
}

function overrideFinding(wanted: 'kvm' | 'tcg'): Finding {
  const name = 'firecracker.kvm';
  if (wanted === 'kvm') return { name, level: 'pass', reason: 'the configuration asks for kvm' };
  const remedy = 'set accelerator or hypervisor to "auto"';
  return { name, level: 'fail', reason: 'the configuration asks for tcg, and Firecracker has KVM only', remedy };
}

function parseCache(text: string | undefined): { key: string; kvm: Finding } | undefined {
  try {
    const value = JSON.parse(text ?? 'null') as { key: string; kvm: Finding } | null;
    return typeof value?.key === 'string' && typeof value.kvm?.level === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
