import { setTimeout as sleep } from 'node:timers/promises';
import type { Stats } from '../api/schemas.ts';
import type { LifecycleServices } from '../context/services.ts';
import { cpuPercent, planSample, type SampledProcess, type UsageSample } from '../model/usage.ts';
import { memoryOnDisk, templatesOf } from '../lifecycle/template/templates.ts';
import { isHidden } from '../model/hidden.ts';
import { seenState } from '../model/vm-state.ts';
import type { Vm } from '../model/vm.ts';

type Sources = Pick<LifecycleServices, 'vms' | 'world' | 'settings'>;

/** A guest that does not answer by then is shown without its own figures. */
const GUEST_ANSWER_MS = 1000;

/** @returns functions that measure on request, from /proc, stat and the guests; nothing runs between requests */
export function createStats(services: Sources, about: { stateDirectory: string; cpuCount: number }): () => Promise<Stats> {
  let last: UsageSample | undefined;
  return async () => {
    const plan = planSample(last === undefined ? undefined : performance.now() - last.atMs);
    const before = plan.usesLast && last !== undefined ? last : await takeSample(services);
    // A timer drops fractions, and may fire a fraction of a millisecond early.
    if (plan.waitMs > 0) await sleep(Math.ceil(plan.waitMs) + 1);
    const after = await takeSample(services);
    last = after;
    const [seen, hidden] = await Promise.all([
      Promise.all(
        services.vms.records.list().map(async (vm) => ({ ...(await measure(services, vm, before, after)), state: seenState(vm) })),
      ),
      Promise.all(hiddenVms(services).map((vm) => measure(services, vm, before, after))),
    ]);
    const vms = [...seen, ...hidden];
    const templates = templatesOf(services);
    const templateMemory = sum(await Promise.all(templates.map((template) => memoryOnDisk(services, template))));
    const withVmm = services.vms.records.listAll().filter((vm) => vm.runtime?.process !== undefined);
    return {
      time: services.world.clock.now().toISOString(),
      intervalMs: Math.round(after.atMs - before.atMs),
      host: {
        cpuCount: about.cpuCount,
        memoryBytes: services.settings.hostMemoryMib * 1024 ** 2,
        disk: { path: about.stateDirectory, ...(await services.world.files.fileSystemSize(about.stateDirectory)) },
      },
      reserved: {
        vcpuCount: sum(withVmm.map(({ spec }) => spec.vcpuCount)),
        memoryBytes: sum(withVmm.map(({ spec }) => spec.memoryMib * 1024 ** 2)),
      },
      used: {
        cpuPercent: Math.round(sum(vms.map((vm) => vm.cpuPercent ?? 0)) * 10) / 10,
        residentBytes: residentBytesOf(vms),
      },
      allocatedBytes: allocatedBytesOf(vms) + templateMemory,
      ready: {
        templates: templates.length,
        spares: hiddenVms(services).filter(({ state }) => state === 'spare').length,
        residentBytes: residentBytesOf(hidden),
        allocatedBytes: allocatedBytesOf(hidden) + templateMemory,
      },
      vms: seen,
    };
  };
}

async function takeSample({ vms, world }: Sources): Promise<UsageSample> {
  const processes = new Map<string, SampledProcess>();
  const atMs = performance.now();
  await Promise.all(
    vms.records.listAll().map(async ({ id, runtime }) => {
      if (runtime?.process === undefined || runtime.bootId !== world.processes.bootId()) return;
      const usage = await world.processes.processUsage(runtime.process);
      if (usage !== undefined) processes.set(id, { ...usage, startTicks: runtime.process.startTicks });
    }),
  );
  return { atMs, processes };
}

/** @returns the usage of the file systems at / and /root; nothing for a guest that has not booted, or a rescue, which has other disks */
async function guestDisks({ vms }: Sources, vm: Vm): Promise<Map<string, number>> {
  const live = vm.state === 'running' && vm.runtime?.rescue !== true ? vms.machines.find(vm.id) : undefined;
  const info = await live?.agent.info({ timeoutMs: GUEST_ANSWER_MS }).catch(() => undefined);
  return new Map(info?.disks?.map(({ path, usedBytes }) => [path, usedBytes]));
}

function hiddenVms({ vms: { records } }: Sources): Vm[] {
  return records.listAll().filter(isHidden);
}

const residentBytesOf = (all: readonly Measured[]): number => sum(all.map((vm) => vm.residentBytes ?? 0));
const allocatedBytesOf = (all: readonly Measured[]): number =>
  sum(all.map((vm) => vm.rootOverlay.allocatedBytes + vm.workDisk.allocatedBytes));

type Measured = Omit<Stats['vms'][number], 'state'>;

async function measure(sources: Sources, vm: Vm, before: UsageSample, after: UsageSample): Promise<Measured> {
  const paths = sources.vms.pathsOf(vm);
  const used = await guestDisks(sources, vm);
  const { storage } = sources.vms.drivers.of(vm.runtime);
  // A disk that does not exist takes nothing.
  const allocated = async (role: 'root' | 'work', path: string): Promise<number> =>
    (await storage?.[role].allocatedBytes({ vmId: vm.id, path }).catch(() => undefined)) ?? 0;
  return {
    id: vm.id,
    name: vm.name,
    vcpuCount: vm.spec.vcpuCount,
    memoryBytes: vm.spec.memoryMib * 1024 ** 2,
    cpuPercent: cpuPercent(before, after, vm.id),
    residentBytes: after.processes.get(vm.id)?.residentBytes ?? null,
    rootOverlay: {
      sizeBytes: vm.spec.rootOverlayBytes,
      allocatedBytes: await allocated('root', paths.rootOverlay),
      usedBytes: used.get('/') ?? null,
    },
    workDisk: {
      sizeBytes: vm.spec.workDiskBytes,
      allocatedBytes: await allocated('work', paths.workDisk),
      usedBytes: used.get('/root') ?? null,
    },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
