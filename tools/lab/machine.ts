// The lab's machine: one QEMU under emulation, thrown away after one job.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabImage } from './image.ts';

export type MachineDisks = { image: LabImage; checkout: string; modules: string; bundle: string };

export type MachineOptions = {
  disks: MachineDisks;
  /** For its logs and temporary files. */
  directory: string;
  /** Connects the terminal to the job instead of streaming its output. */
  interactive: boolean;
  limitMs: number;
  signal: AbortSignal;
  onOutput: (text: string) => void;
};

/** How a job ended; `status` is undefined if the machine was ended, or ended without a status. */
export type MachineOutcome = { status: number | undefined; endedBy: 'itself' | 'time' | 'signal' };

/** Names of files in the machine's directory. */
export const CONSOLE_LOG = 'console.log';
export const ARTIFACTS = 'artifacts.tar.gz';
export const RESULTS = 'results.jsonl';

const KERNEL_ARGUMENTS = [
  // On a busy host the kernel's checks wrongly find the TSC unreliable, and then every reading of the clock uses the slow HPET.
  ...['tsc=reliable', 'clocksource=tsc'],
  ...[
    'console=ttyS0',
    'quiet',
    'loglevel=4',
    'panic=-1',
    'net.ifnames=0',
    'mitigations=off',
    'audit=0',
    'apparmor=0',
    'selinux=0',
    'nokaslr',
  ],
  ...['module_blacklist=iTCO_wdt,pcspkr,psmouse,mousedev', 'random.trust_cpu=on', 'systemd.show_status=0', 'systemd.gpt_auto=0'],
];

/**
 * The CPU and machine with which nested KVM and the guest's clock work under emulation: EPYC has SVM, a known vendor and consistent CPUID
 * leaves, and q35 has the HPET that calibrates the TSC. One CPU only: with two, each in a thread, QEMU 7.2 sometimes continues to execute
 * an `int3` that the kernel had removed from its code long before (in __schedule, whenever the first VM comes or the last one goes), and
 * both CPUs hang for ever. One CPU is not slower overall.
 * @returns argv of QEMU; every disk is either read-only or forgets what is written
 */
export function machineArgv({ disks, directory, interactive }: Pick<MachineOptions, 'disks' | 'directory' | 'interactive'>): string[] {
  const { image } = disks;
  const disk = (name: string, file: string, mode: string): string[] => [
    ...['-drive', `if=none,id=${name},format=raw,file=${file.replaceAll(',', ',,')},${mode}`],
    ...['-device', `virtio-blk-pci,drive=${name}`],
  ];
  const port = (name: string, chardev: string): string[] => [
    ...['-chardev', `${chardev},id=${name}`, '-device', `virtserialport,chardev=${name},name=lab.${name}`],
  ];
  const file = (name: string): string => `file,path=${join(directory, name).replaceAll(',', ',,')}`;
  return [
    ...['qemu-system-x86_64', '-M', 'q35,sata=off,smbus=off', '-accel', 'tcg', '-cpu', 'EPYC', '-smp', '1', '-m', '6144'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-device', 'virtio-rng-pci'],
    ...['-kernel', image.kernel, '-initrd', image.initramfs, '-append', KERNEL_ARGUMENTS.join(' ')],
    ...['-chardev', `${file(CONSOLE_LOG)},id=console`, '-serial', 'chardev:console'],
    ...disk('root', image.root, 'snapshot=on'),
    ...disk('checkout', disks.checkout, 'readonly=on'),
    ...disk('modules', disks.modules, 'readonly=on'),
    ...disk('bundle', disks.bundle, 'snapshot=on'),
    ...disk('xfs', image.xfs, 'snapshot=on'),
    // The lab has an uplink that leads nowhere.
    ...['-netdev', 'user,id=uplink,restrict=on', '-device', 'virtio-net-pci,netdev=uplink,romfile='],
    ...['-device', 'virtio-serial-pci'],
    ...port('output', interactive ? file('output.log') : 'stdio,signal=off'),
    ...port('status', file('status')),
    ...port('artifacts', file(ARTIFACTS)),
    ...port('results', file(RESULTS)),
    ...(interactive ? ['-chardev', 'stdio,signal=off,id=terminal', '-device', 'virtconsole,chardev=terminal'] : []),
  ];
}

/** Runs the machine to its end. It ends with its time limit, with `signal`, or with this process (PR_SET_PDEATHSIG). */
export async function runMachine(options: MachineOptions): Promise<MachineOutcome> {
  const { directory, interactive, signal, onOutput } = options;
  if (signal.aborted) return { status: undefined, endedBy: 'signal' };
  const [program, ...args] = ['setpriv', '--pdeathsig', 'KILL', '--', ...machineArgv(options)];
  const child = spawn(program, args, {
    // A stdin that has ended would count as a hang-up of the port, so it stays open and silent.
    stdio: interactive ? ['inherit', 'inherit', 'pipe'] : 'pipe',
    // The directory in which QEMU keeps writes to disks.
    env: { ...process.env, TMPDIR: directory },
    // Without a terminal in the machine, Ctrl-C only reaches this process.
    detached: !interactive,
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve());
  });
  let complaints = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  child.stdout?.setEncoding('utf8').on('data', onOutput);
  const endedBy = await endInTime(child, ended, options);
  const said = await readFile(join(directory, 'status'), 'utf8').catch(() => '');
  const status = /^\d+$/.test(said.trim()) ? Number(said) : undefined;
  if (status === undefined && endedBy === 'itself') onOutput(withoutCpuWarnings(complaints));
  return { status, endedBy };
}

async function endInTime(child: ChildProcess, ended: Promise<void>, options: MachineOptions): Promise<MachineOutcome['endedBy']> {
  let endedBy: MachineOutcome['endedBy'] = 'itself';
  const kill = (cause: MachineOutcome['endedBy']): void => {
    endedBy = cause;
    child.kill('SIGKILL');
  };
  const onAbort = (): void => kill('signal');
  const timer = setTimeout(() => kill('time'), options.limitMs);
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await ended;
    return endedBy;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', onAbort);
  }
}

/** EPYC has a few features that emulation lacks, and QEMU prints a warning for each of them and each CPU. */
function withoutCpuWarnings(text: string): string {
  return text.replaceAll(/^.*warning: TCG doesn't support requested feature.*\n/gm, '');
}
