import { randomUUID } from 'node:crypto';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { MachineExit, MachineSpec } from '../contract.ts';
import { type FakeGuest, copyGuest, createFakeGuest } from './guest.ts';

/** Ways in which a fake machine fails. */
export type FakeFault =
  | 'fail-at-start'
  /** `start` returns only once it is cancelled. */
  | 'hang-at-start'
  | 'die-after-start'
  | 'never-answer-agent'
  /** The guest never answers, and the driver notices it. */
  | 'hang-in-boot'
  | 'ignore-shutdown'
  /** Nothing listens in the guest, and its init has given up. */
  | 'no-services'
  /** The guest cannot write to its disk. */
  | 'full-guest'
  /** The control connection of a running machine does not answer, so the machine cannot be adopted. */
  | 'refuse-adoption';

/** One simulated VMM process. It lives in the world, not in the driver, because a real one outlives the daemon. */
export type FakeVmm = {
  spec: MachineSpec;
  process: ProcessIdentity;
  guest: FakeGuest;
  /** The vCPUs are paused, and with them the guest. */
  paused: boolean;
  /** Set by a test: whether a write paused the guest because the host's disk is full. */
  setDiskFull(isFull: boolean): void;
  /** The listener of the present daemon's driver. */
  fullDiskListener: ((isFull: boolean) => void) | undefined;
  resumeListener: (() => void) | undefined;
  isDiskFull: boolean;
  bootHung: boolean;
  /** Its memory lies in the file at `memoryPath`. */
  hasMemoryFile: boolean;
  /** After SIGSTOP: the VMM itself does not answer either. */
  hung: boolean;
  exit: MachineExit | undefined;
  readonly exited: Promise<MachineExit>;
  /** Ends the process; only the first cause counts. */
  end(exit: MachineExit): void;
};

/** The host of fake machines. Pass the same world to a second driver to simulate a restart of the daemon. */
export type FakeWorld = {
  /** Running machines by runtime directory. */
  readonly machines: Map<string, FakeVmm>;
  /** Makes every machine of this name (`*`: all) fail from now on. */
  inject(vmName: string, fault: FakeFault): void;
  heal(vmName: string, fault: FakeFault): void;
  has(vmName: string, fault: FakeFault): boolean;
  /** The reply of a VM's guest to the next POST /personalize that is not 204, by the VM's name. */
  readonly troubles: Map<string, unknown>;
  /** The memory in snapshots, by what their files say. */
  readonly memories: Map<string, FakeGuest>;
  /** @param guest of a snapshot, of which a copy goes on in it; default: one that boots */
  spawn(spec: MachineSpec, guest?: FakeGuest): FakeVmm;
};

/** Above the kernel's largest pid (2^22), so that it is never a real process. */
const FIRST_PID = 5_000_000;

export function createFakeWorld(): FakeWorld {
  const machines = new Map<string, FakeVmm>();
  const faults = new Set<string>();
  const troubles = new Map<string, unknown>();
  let nextPid = FIRST_PID;
  return {
    machines,
    troubles,
    memories: new Map(),
    inject: (vmName, fault) => void faults.add(`${vmName} ${fault}`),
    heal: (vmName, fault) => void faults.delete(`${vmName} ${fault}`),
    has: (vmName, fault) => faults.has(`${vmName} ${fault}`) || faults.has(`* ${fault}`),
    spawn: (spec, guest) => {
      const vmm = createVmm(spec, { pid: nextPid++, startTicks: Math.round(performance.now() * 100) }, machines);
      machines.set(spec.runtimeDirectory, vmm);
      if (guest !== undefined) {
        vmm.guest = copyGuest(guest, vmm.guest.onPoweroff);
        return vmm;
      }
      vmm.guest.troubles = troubles.get(spec.vmName);
      vmm.guest.isDiskFull = faults.has(`${spec.vmName} full-guest`);
      if (faults.has(`${spec.vmName} no-services`)) Object.assign(vmm.guest, { init: 'degraded', ports: [] });
      return vmm;
    },
  };
}

function createVmm(spec: MachineSpec, process: ProcessIdentity, machines: Map<string, FakeVmm>): FakeVmm {
  const { promise, resolve } = Promise.withResolvers<MachineExit>();
  const vmm: FakeVmm = {
    spec,
    process,
    guest: createFakeGuest(randomUUID(), (reboot) => {
      vmm.end({ cause: reboot ? 'guest-reset' : 'guest-poweroff', detail: 'the guest asked for it' });
    }),
    paused: false,
    bootHung: false,
    hasMemoryFile: false,
    hung: false,
    isDiskFull: false,
    fullDiskListener: undefined,
    resumeListener: undefined,
    setDiskFull: (isFull) => {
      vmm.isDiskFull = isFull;
      vmm.fullDiskListener?.(isFull);
      if (!isFull) vmm.resumeListener?.();
    },
    exit: undefined,
    exited: promise,
    end: (exit) => {
      if (vmm.exit !== undefined) return;
      vmm.exit = exit;
      if (machines.get(spec.runtimeDirectory) === vmm) machines.delete(spec.runtimeDirectory);
      resolve(exit);
    },
  };
  return vmm;
}
