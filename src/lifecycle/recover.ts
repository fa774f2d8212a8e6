import { ALL_CAPABILITIES } from '../capabilities/all.ts';
import type { Machine } from '../drivers/hypervisor/contract.ts';
import type { ErrorBody } from '../model/errors.ts';
import type { Vm } from '../model/vm.ts';
import type { OperationStore } from '../store/operations.ts';
import { recoverImages } from './image/recover.ts';
import { runAll, runSteps } from './pipeline.ts';
import { restoreLost } from './restore.ts';
import type { LifecycleServices } from './services.ts';
import { watchSpace } from './space-watch.ts';
import { sweepOrphans } from './sweep.ts';
import { makeContext, type VmContext } from './vm-context.ts';
import { removeVm } from './vm/delete-steps.ts';
import { present } from './vm/capability-steps.ts';
import { stopSteps } from './vm/stop-steps.ts';
import { adoptionSpec } from './vm/vmm.ts';

/** How many log directories of VMs that no longer exist are kept. */
const KEPT_LOGS = 20;

/** Names of VMs by what became of them, of images that came back, and what was found of no VM. */
export type Recovery = {
  restored: string[];
  adopted: string[];
  stopped: string[];
  deleted: string[];
  failed: string[];
  restoredImages: string[];
  swept: string[];
};

/**
 * Puts the world in order after the end of the last daemon, whatever it was doing (3.8, 9.5): running VMs are adopted,
 * half-made ones are removed, half-stopped ones are stopped, and what belongs to no VM is swept. VMs whose records are lost come
 * back from their manifests first.
 */
export async function recover(services: LifecycleServices, operations: OperationStore): Promise<Recovery> {
  const report: Recovery = { restored: [], adopted: [], stopped: [], deleted: [], failed: [], restoredImages: [], swept: [] };
  report.restoredImages = await recoverImages(services);
  report.restored = await restoreLost(services);
  await Promise.all(services.vms.list().map((vm) => recoverVm(services, vm, report)));
  endInterrupted(services, operations);
  report.swept = await sweepOrphans(services);
  await pruneLogs(services);
  return report;
}

/** Those that the last daemon left unfinished. On a full disk they stay so: a daemon that runs is worth more than a tidy list. */
function endInterrupted(services: LifecycleServices, operations: OperationStore): void {
  for (const operation of operations.running()) {
    const error: ErrorBody = {
      code: 'INTERRUPTED',
      message: 'the daemon ended in the middle of it; what was begun has been undone or finished',
    };
    tryToWrite(services, () => operations.end(operation.id, 'failed', services.now().toISOString(), error));
  }
}

function tryToWrite(services: LifecycleServices, write: () => void): void {
  try {
    write();
  } catch (error) {
    services.warn('the recovery could not be written down', { reason: error instanceof Error ? error.message : String(error) });
  }
}

/** Failed creations leave their logs, which tell why; only the newest are worth their space. */
async function pruneLogs({ host, vms, pathsOf }: LifecycleServices): Promise<void> {
  const logs = await host.namesByAge(pathsOf({ id: '' }).logDirectory);
  const ownerless = logs.filter((id) => vms.find(id) === undefined);
  for (const id of ownerless.slice(KEPT_LOGS)) await host.removeTree(pathsOf({ id }).logDirectory);
}

async function recoverVm(services: LifecycleServices, vm: Vm, report: Recovery): Promise<void> {
  // Of thousands of VMs nearly all; nothing more is looked up for them.
  if (vm.state === 'stopped') return;
  const context = makeContext(services, vm);
  const run = { context, journal: () => undefined, signal: new AbortController().signal };
  try {
    if (vm.state === 'creating' || vm.state === 'deleting') {
      await removeVm(run);
      report.deleted.push(vm.name);
    } else if (vm.state === 'running' && (await adopt(context))) {
      report.adopted.push(vm.name);
    } else {
      const lastError = vm.state === 'running' ? 'the VM had ended when the daemon came back' : vm.lastError;
      await runAll({ ...run, steps: stopSteps({ ask: false, reason: { lastError } }) });
      report.stopped.push(vm.name);
    }
  } catch (error) {
    report.failed.push(vm.name);
    services.warn('a VM could not be recovered', { vm: vm.name, reason: error instanceof Error ? error.message : String(error) });
    const lastError = error instanceof Error ? error.message : String(error);
    tryToWrite(services, () => context.update({ state: 'error', lastError }));
  }
}

/** @returns whether the VM still runs and is now held by this daemon */
async function adopt(context: VmContext): Promise<boolean> {
  const { services, vm } = context;
  const machine = await findMachine(context);
  if (machine === undefined) return false;
  watchSpace(context, services.machines.add(vm.id, machine, services.connectAgent(machine)));
  context.update({ runtime: { bootId: services.host.bootId(), ...vm.runtime, process: machine.process } });
  const signal = new AbortController().signal;
  await context.drivers.network.ensure(signal);
  // The services were waited for when the VM was started; waiting again would hold up the daemon.
  const steps = present(
    ALL_CAPABILITIES.filter((c) => c.name !== 'services'),
    'afterStart',
  );
  await runSteps({ steps, context, journal: () => undefined, signal });
  return true;
}

async function findMachine(context: VmContext): Promise<Machine | undefined> {
  const { services, vm } = context;
  const { hypervisor } = context.drivers;
  // After a reboot of the host every pid is somebody else's.
  if (vm.runtime?.bootId !== services.host.bootId()) return undefined;
  const spec = adoptionSpec(context);
  const recorded = vm.runtime.process === undefined ? undefined : await hypervisor.adopt(spec, vm.runtime.process);
  if (recorded !== undefined) return recorded;
  const found = await hypervisor.find(spec);
  return found === undefined ? undefined : hypervisor.adopt(spec, found);
}
