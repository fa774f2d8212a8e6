import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import { formatSize } from '../../lib/size.ts';
import { isHidden } from '../../model/hidden.ts';
import type { Image } from '../../model/image.ts';
import type { Vm } from '../../model/vm.ts';
import { isAtRest } from '../../model/vm-state.ts';
import type { Finding } from '../../model/finding.ts';
import { directoriesWithoutRecord } from '../restore.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { templateBytes, templatesOf } from '../template/templates.ts';
import { unknownVmms } from '../unknown-vmms.ts';
import { makeContext } from '../../context/vm-context.ts';
import { messageOf } from '../../lib/message-of.ts';

/** How many VMs are examined at the same time, so that a silent guest does not delay the others. */
const AT_ONCE = 32;

/** @returns what is wrong with VMs and images, and with processes and directories that belong to neither */
export async function allFindings(services: LifecycleServices): Promise<Finding[]> {
  const findings: Finding[] = [];
  const vms = services.vms.records.list();
  for (let at = 0; at < vms.length; at += AT_ONCE) {
    const found = await Promise.all(vms.slice(at, at + AT_ONCE).map((vm) => vmFindings(services, vm)));
    findings.push(...found.flat());
  }
  findings.push(...services.vms.records.listAll().filter(isHidden).flatMap(hiddenFindings), ...(await templateFindings(services)));
  for (const image of services.images.records.list()) findings.push(...(await imageFindings(services, image)));
  return [...findings, ...(await unknownVmmFindings(services)), ...(await directoryFindings(services))];
}

/** What banger made for itself it also removes itself, and makes anew; only what it could not remove is a finding. */
function hiddenFindings({ name, lastError }: Vm): Finding[] {
  if (lastError === null) return [];
  return [{ name: 'vm', level: 'warn', reason: `${name}, which banger keeps for itself: ${lastError}`, remedy: 'banger daemon restart' }];
}

async function templateFindings(services: LifecycleServices): Promise<Finding[]> {
  const templates = templatesOf(services);
  if (templates.length === 0) return [];
  const sizes = await Promise.all(templates.map((template) => templateBytes(services, template)));
  const taken = formatSize(sizes.reduce((sum, bytes) => sum + bytes, 0));
  const reason = `templates take ${taken} of the disk (${templates.length}), and all may take ${formatSize(services.settings.templates.budgetBytes)}`;
  return [{ name: 'templates', level: 'pass', reason }];
}

/** @returns the problems in the VM's record, and those that its capabilities find */
export async function vmFindings(services: LifecycleServices, vm: Vm): Promise<Finding[]> {
  // While a VM is created or deleted, its parts come and go; only an interrupted operation is a finding.
  if (vm.state === 'creating' || vm.state === 'deleting') return recordFindings(services, vm);
  return [...recordFindings(services, vm), ...(await capabilityFindings(services, vm))];
}

/** The findings of each capability. A check that throws is a finding, too. */
export async function capabilityFindings(services: LifecycleServices, vm: Vm): Promise<Finding[]> {
  const context = makeContext(services, vm);
  const found = await Promise.all(
    ALL_CAPABILITIES.map(async (capability): Promise<Finding[]> => {
      try {
        return (await capability.doctor?.(context)) ?? [];
      } catch (error) {
        const reason = `${capability.name} of ${vm.name} could not be checked: ${messageOf(error)}`;
        return [{ name: capability.name, level: 'fail', vm: vm.name, reason, remedy: 'banger daemon logs' }];
      }
    }),
  );
  return found.flat();
}

function recordFindings({ vms: { machines } }: LifecycleServices, vm: Vm): Finding[] {
  const troubles = (vm.runtime?.troubles ?? []).map(({ reason, remedy }): Finding => {
    return { name: 'guest', level: 'warn', vm: vm.name, reason: `${vm.name}: ${reason}`, remedy };
  });
  if (vm.lastError === null) return troubles;
  const level = isAtRest(vm.state) ? 'warn' : 'fail';
  const isHeld = machines.whyLeft(vm.id) === undefined && (machines.find(vm.id)?.networkProblem ?? null) === null;
  const isShortOfSpace = vm.state === 'running' && isHeld;
  const next = vm.state === 'deleting' ? `banger vm delete ${vm.name}` : isShortOfSpace ? 'free some space' : `banger vm start ${vm.name}`;
  return [{ name: 'vm', level, vm: vm.name, reason: `${vm.name}: ${vm.lastError}`, remedy: next }, ...troubles];
}

/** @returns the missing files of the image */
export async function imageFindings({ world: { files } }: Pick<LifecycleServices, 'world'>, image: Image): Promise<Finding[]> {
  const paths = [image.kernelPath, image.initramfsPath, image.rootfsPath, image.workSeedPath].filter((path) => path !== null);
  const there = await Promise.all(paths.map((path) => files.exists(path)));
  const missing = paths.filter((_path, at) => there[at] === false);
  if (missing.length === 0) return [];
  const reason = `the image ${image.name} lacks ${missing.join(', ')}`;
  const remedy = image.managed ? 'restore them from a backup, or use another image' : 'banger bundle build';
  return [{ name: 'image', level: 'fail', code: 'NOT_FOUND', reason, remedy }];
}

async function unknownVmmFindings(services: LifecycleServices): Promise<Finding[]> {
  return (await unknownVmms(services)).map(({ pid, shortId, hypervisor }): Finding => {
    const reason = `process ${pid} (${hypervisor}) runs an unknown VM, bgr-${shortId}; banger leaves it alone`;
    return { name: 'unknown-vm', level: 'warn', reason, remedy: `if it is not needed: kill ${pid}` };
  });
}

/** It is unknown whose disks they are, so they are only reported. */
async function directoryFindings(services: LifecycleServices): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const id of await directoriesWithoutRecord(services)) {
    const { directory, workDisk } = services.vms.pathsOf({ id });
    const allocated = await services.world.files.fileSize(workDisk).then(
      ({ allocatedBytes }) => allocatedBytes,
      () => 0,
    );
    const reason = `${directory} holds disks of an unknown VM (work disk: ${formatSize(allocated)})`;
    findings.push({ name: 'directories', level: 'warn', reason, remedy: 'remove the directory if you do not need them' });
  }
  return findings;
}

/** The result of one repair. */
export type Fixed = { name: string; vm?: string; did: string; error?: string };

/**
 * Applies every safe fix, VM by VM, each after a new check while the VM is locked.
 * @returns what was done, and what failed
 */
export async function fixFindings(services: LifecycleServices, signal: AbortSignal): Promise<Fixed[]> {
  const fixed: Fixed[] = [];
  for (const { id } of services.vms.records.list()) {
    await services.vms.locks.hold(id, signal, async () => {
      const vm = services.vms.records.find(id);
      if (vm === undefined) return;
      for (const finding of await vmFindings(services, vm)) {
        if (finding.fix !== undefined) fixed.push(await tryFix(finding.name, vm.name, finding.fix));
      }
    });
  }
  return fixed;
}

async function tryFix(name: string, vm: string, fix: NonNullable<Finding['fix']>): Promise<Fixed> {
  try {
    await fix.apply();
    return { name, vm, did: fix.did };
  } catch (error) {
    return { name, vm, did: fix.did, error: messageOf(error) };
  }
}
