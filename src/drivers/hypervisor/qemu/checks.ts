import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { AcceleratorCheck, HypervisorChecks } from '../contract.ts';
import { PROGRAM_START_LIMIT_MS } from '../probe-limit.ts';
import { type Acceleration, learnAcceleration } from './acceleration.ts';
import { given } from '../../../lib/given.ts';

export type QemuSettings = {
  /** Name or absolute path of qemu-system-x86_64. */
  program: string;
  /** `kvm` and `tcg` are used without a test. */
  accelerator: 'auto' | 'kvm' | 'tcg';
  /** File that keeps measurements of this host until its next boot. */
  probeCachePath: string;
};

const REMEDY = 'sudo apt install qemu-system-x86';
/** The first version whose microvm machine has ACPI devices with a second I/O APIC. */
const OLDEST_MAJOR = 6;

/** Where QEMU is, and how it will run guests. */
export type QemuInstallation = { qemuPath: string; accelerator: 'kvm' | 'tcg'; acceleration: Acceleration };

/**
 * @returns the program and the accelerator that `start` uses
 * @throws PREREQUISITE_MISSING if there is no QEMU
 */
export async function locateQemu(host: Host, settings: QemuSettings): Promise<QemuInstallation> {
  const qemuPath = await host.findProgram(settings.program, host.commandEnvironment()['PATH'] ?? '');
  if (qemuPath === undefined) {
    throw new BangerError('PREREQUISITE_MISSING', `${settings.program} is not installed`, { remedy: REMEDY });
  }
  const acceleration = await learnAcceleration(host, qemuPath, settings.probeCachePath);
  const automatic = acceleration.kvm.level === 'pass' ? 'kvm' : 'tcg';
  return { qemuPath, accelerator: settings.accelerator === 'auto' ? automatic : settings.accelerator, acceleration };
}

/** All findings about QEMU on this host. */
export async function checkQemu(host: Host, settings: QemuSettings, signal?: AbortSignal): Promise<HypervisorChecks> {
  const qemuPath = await host.findProgram(settings.program, host.commandEnvironment()['PATH'] ?? '');
  const printed = qemuPath === undefined ? undefined : await versionOf(host, qemuPath, signal);
  const program = judgeProgram(settings.program, printed);
  if (qemuPath === undefined || program.level === 'fail') return { accelerator: 'tcg', findings: [program] };
  const { accelerator, acceleration } = await locateQemu(host, settings);
  const findings = [program, acceleration.kvm];
  if (settings.accelerator !== 'auto') findings.push(overrideFinding(settings.accelerator, acceleration.kvm));
  if (accelerator === 'tcg') findings.push(clockFinding(acceleration.tscKhz));
  return {
    accelerator,
    ...given({ version: printed }),
    findings,
    others: [otherAccelerator(accelerator, acceleration.kvm)],
  };
}

function otherAccelerator(used: 'kvm' | 'tcg', kvm: Finding): AcceleratorCheck {
  if (used === 'kvm') return { accelerator: 'tcg', usable: true, reason: 'emulation works everywhere, and is slower' };
  const { level, reason, remedy } = kvm;
  return { accelerator: 'kvm', usable: level === 'pass', reason, ...given({ remedy }) };
}

async function versionOf(host: Host, qemuPath: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const { stdout } = await host.run([qemuPath, '--version'], {
      timeoutMs: PROGRAM_START_LIMIT_MS,
      ...given({ signal }),
    });
    return stdout.split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}

/** @returns whether the output of `--version` is from a QEMU that banger supports */
export function judgeProgram(program: string, printed: string | undefined): Finding {
  const name = 'qemu';
  if (printed === undefined) return { name, level: 'fail', reason: `${program} is not installed or does not start`, remedy: REMEDY };
  const major = Number(/version (\d+)\./.exec(printed)?.[1]);
  if (Number.isNaN(major)) return { name, level: 'fail', reason: `${program} does not say its version`, remedy: REMEDY };
  if (major >= OLDEST_MAJOR) return { name, level: 'pass', reason: printed };
  return { name, level: 'fail', reason: `${printed} is older than ${OLDEST_MAJOR}.0`, remedy: REMEDY };
}

function overrideFinding(wanted: 'kvm' | 'tcg', kvm: Finding): Finding {
  const risky = wanted === 'kvm' && kvm.level !== 'pass';
  return {
    name: 'qemu.accelerator',
    level: risky ? 'warn' : 'pass',
    reason: `the configuration asks for ${wanted}`,
    ...(risky ? { remedy: 'set the accelerator to "auto": guests may hang without output' } : {}),
  };
}

function clockFinding(tscKhz: number | undefined): Finding {
  const name = 'qemu.clock';
  if (tscKhz !== undefined) return { name, level: 'pass', reason: `guests use a TSC frequency of ${tscKhz} kHz` };
  const reason =
    'the TSC frequency could not be measured, for example because the host is busy; emulated guests may hang at boot now and then';
  return { name, level: 'warn', reason, remedy: 'measure again when the host is less busy' };
}
