import { EXT4_HEAD_BYTES, ext4State } from '../../lib/ext4.ts';
import { BangerError } from '../../model/errors.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { decideChange, type VmChangeRequest } from '../../model/vm-change.ts';
import type { Vm } from '../../model/vm.ts';
import { preflight } from '../health/needs.ts';
import { runSteps, type Step } from '../pipeline.ts';
import type { LifecycleServices } from '../services.ts';
import { makeContext, type VmContext } from '../vm-context.ts';
import { checkMemory } from './create.ts';
import { guestDraft } from './start-steps.ts';
import { verb } from './verbs.ts';
import { assertEnded } from './vmm.ts';

/** How long a running guest may take to hear of a change. */
const TELL_TIMEOUT_MS = 5000;

/** How the VM was and how it is to be. */
type Changeable = Pick<Vm, 'name' | 'spec' | 'labels'>;
type Change = { from: Changeable; to: Changeable };

/**
 * Changes what a VM is (3.7). The whole request is judged before any of it is done, now and when it is the VM's turn.
 * @throws INVALID_INPUT, WRONG_STATE, NAME_TAKEN before anything is recorded
 */
export function setVm(services: LifecycleServices, vm: Vm, asked: VmChangeRequest): OperationRecord {
  judge(services, vm, asked);
  return verb(services, vm, 'set', async (operation, present) => {
    const context = makeContext(services, present, operation);
    const to = judge(services, present, asked);
    const { name, spec, labels } = present;
    const steps = setSteps({ from: { name, spec, labels }, to }, present.state === 'running');
    await runSteps({ steps, context, journal: operation.journal, signal: operation.signal });
  });
}

function judge(services: LifecycleServices, vm: Vm, asked: VmChangeRequest): Changeable {
  const to = decideChange(vm, asked);
  if (to.spec.memoryMib !== vm.spec.memoryMib) checkMemory(to.spec.memoryMib, services.settings.hostMemoryMib);
  if (to.spec.nat !== vm.spec.nat) assertNatCanChange(services, vm, to.spec.nat);
  services.vms.records.assertNameFree({ id: vm.id, name: to.name });
  return to;
}

/** A record that says what the running VM has not would be believed. */
function assertNatCanChange(services: LifecycleServices, vm: Vm, nat: boolean): void {
  if (vm.state !== 'running') return;
  const { network } = services.vms.drivers.of(vm.runtime);
  if (network === undefined || network.setNat !== undefined) return;
  const flag = nat ? '--nat' : '--no-nat';
  throw new BangerError('WRONG_STATE', `the network "${network.name}" gives the way to the outside, or takes it, only when a VM starts`, {
    remedy: `banger vm stop ${vm.name} && banger vm set ${vm.name} ${flag} && banger vm start ${vm.name}`,
  });
}

/**
 * Disks first: what they could not become is never recorded. The root overlay is the last of them because its growth has no
 * way back; should the record fail after it, the disk is larger than recorded, which the next growth makes good.
 */
function setSteps({ from, to }: Change, isRunning: boolean): Step<VmContext>[] {
  const grows = (disk: 'workDiskBytes' | 'rootOverlayBytes'): boolean => to.spec[disk] > from.spec[disk];
  return [
    ...(isRunning ? [] : [ended]),
    ...(grows('workDiskBytes') || grows('rootOverlayBytes') ? [space] : []),
    ...(grows('workDiskBytes') ? [growWorkDisk(to.spec.workDiskBytes)] : []),
    ...(grows('rootOverlayBytes') ? [growRootOverlay(to.spec.rootOverlayBytes)] : []),
    ...(isRunning && to.spec.nat !== from.spec.nat ? [switchNat(from.spec.nat, to.spec.nat)] : []),
    record({ from, to }),
    ...(isRunning && to.name !== from.name ? [publishName(from.name), tellName] : []),
  ];
}

/** Disks and sizes are the VMM's as long as it lives, whatever the record says. */
const ended: Step<VmContext> = { name: 'check', title: 'no VMM', apply: (context) => assertEnded(context) };

const space: Step<VmContext> = {
  name: 'space',
  title: 'free space',
  apply: ({ services, vm }) => preflight(services, 'vm set --disk-size', { vm }),
};

/** The agent grows the file system to its disk when it mounts it, as after the VM's creation. */
function growWorkDisk(toBytes: number): Step<VmContext> {
  // The length that was found, which after a crash need not be the recorded one. Nobody but this growth undoes it.
  let foundBytes: number | undefined;
  return {
    name: 'work-disk',
    title: 'work disk',
    async apply({ services, paths, vm }) {
      const state = ext4State(await services.world.files.readHead(paths.workDisk, EXT4_HEAD_BYTES));
      if (state !== 'good') throw unsound(vm, paths.workDisk, state);
      foundBytes = (await services.world.files.fileSize(paths.workDisk)).bytes;
      await services.world.disks.extendSparse(paths.workDisk, toBytes);
    },
    async undo({ services, paths }) {
      // No guest has seen the new end, so nothing is behind the old one.
      if (foundBytes !== undefined) await services.world.disks.setLength(paths.workDisk, foundBytes);
    },
  };
}

function unsound(vm: Vm, path: string, state: 'errors' | 'none'): BangerError {
  const found = state === 'none' ? 'holds no ext4 file system' : 'has errors in its file system, and growing it could destroy more';
  return new BangerError('STORAGE_FAILED', `the work disk of ${vm.name} ${found}`, {
    remedy: state === 'none' ? 'grow what you have made of it yourself' : `e2fsck -f ${path}`,
    details: { path, state },
  });
}

function growRootOverlay(toBytes: number): Step<VmContext> {
  return {
    name: 'root-overlay',
    title: 'root overlay',
    apply: ({ drivers, paths, vm }) => drivers.storage.grow({ vmId: vm.id, overlayPath: paths.rootOverlay }, toBytes),
  };
}

function switchNat(from: boolean, to: boolean): Step<VmContext> {
  const turn = async (context: VmContext, nat: boolean): Promise<void> => {
    const { drivers, network } = context;
    if (drivers.network.setNat === undefined) return;
    await tell(context, { network: await drivers.network.setNat({ ...network, nat }) });
  };
  return {
    name: 'nat',
    title: to ? 'way to the outside' : 'no way to the outside',
    apply: (context) => turn(context, to),
    undo: (context) => turn(context, from),
  };
}

function record({ from, to }: Change): Step<VmContext> {
  return {
    name: 'record',
    title: 'record',
    apply: ({ update }) => update(to),
    undo: ({ update }) => update(from),
  };
}

function publishName(from: string): Step<VmContext> {
  const move = async ({ services, drivers, network, addressOnHost }: VmContext, old: string, name: string): Promise<void> => {
    services.vms.names.remove(old);
    await drivers.network.nameGuest?.(network, name);
    await services.vms.names.set(name, addressOnHost);
  };
  return {
    name: 'dns-name',
    title: 'DNS name',
    apply: (context) => move(context, from, context.vm.name),
    undo: (context) => move(context, context.vm.name, from),
  };
}

const tellName: Step<VmContext> = {
  name: 'hostname',
  title: 'host name',
  async apply(context) {
    const { hostname, hosts } = await guestDraft(context);
    await tell(context, { hostname, hosts });
  },
};

/** A guest that does not listen keeps nobody from changing what is the host's; it hears of it when it starts. */
async function tell({ services, vm, operation }: VmContext, news: Parameters<Agent['personalize']>[0]): Promise<void> {
  try {
    await services.vms.machines.get(vm).agent.personalize(news, { timeoutMs: TELL_TIMEOUT_MS });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    operation.log(`the guest could not be told and learns of it with its next start: ${reason}`);
  }
}

type Agent = ReturnType<LifecycleServices['vms']['connectAgent']>;
