import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Capability } from '../../context/capability.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runAll, runSteps, type Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import { hiddenName } from '../../model/hidden.ts';
import type { Image } from '../../model/image.ts';
import type { VmSpec } from '../../model/vm.ts';
import { runInGuest } from '../image/guest-run.ts';
import { discard } from '../hidden.ts';
import { stepsOf } from '../vm/capability-steps.ts';
import { insertNew, newRecord, record } from '../vm/record.ts';
import { memoryPathOf, snapshotsOf, stagingOf } from '../vm/snapshot.ts';
import { bringUpSteps } from '../vm/start-steps.ts';
import { takeDownSteps } from '../vm/stop-steps.ts';
import { assertEnded, isPatient, runtimeAtRest } from '../vm/vmm.ts';
import { isInitUp } from '../vm/wait.ts';
import { evict, findTemplate, SHAPE } from './templates.ts';

/** What a template is made for. `shape`: from `shapeOf`. `isAwaited`: whether somebody waits for it. */
export type TemplateWish = { image: Image; spec: VmSpec; shape: string; isAwaited: boolean };

/** What follows what happens in a guest, or tells others of it, has nothing to do here; the services must be there. */
const CAPABILITIES: readonly Capability[] = ALL_CAPABILITIES.filter(
  ({ traits }) => traits?.forPeople !== true || traits.waitsForGuest === true,
);

/** As for the services of an image. */
const INIT_TIMEOUT_MS = 600_000;
/** A guest sends no event. */
const ASK_AGAIN_MS = 250;
const CALM_TIMEOUT_MS = 60_000;
const nothing = { journal: () => undefined, signal: new AbortController().signal };

/**
 * Makes a template: a machine that boots, gets an identity that no VM has, waits for its services, and ends with its memory on disk. Does
 * nothing if there is one of the shape.
 * @throws NO_SPACE; what the start of a VM throws. Nothing is left of it then
 */
export function makeTemplate(
  services: LifecycleServices,
  wish: TemplateWish,
  { journal, signal, log, progress }: Omit<OperationHandle, 'id'>,
): Promise<void> {
  return services.vms.locks.hold(`template ${wish.shape}`, signal, async () => {
    if (findTemplate(services, wish.shape) !== undefined) return;
    await requireRoom(services, wish.spec);
    const { image, spec, shape } = wish;
    const vm = newRecord(services, { name: (one) => hiddenName('template', one), image, spec, labels: { [SHAPE]: shape } });
    insertNew(services, vm);
    try {
      await services.vms.locks.hold(vm.id, signal, () => {
        const context = makeContext(services, vm, { log, progress });
        isPatient.set(context, !wish.isAwaited);
        return runSteps({ steps: STEPS, context, journal, signal });
      });
    } catch (error) {
      await discard(services, vm);
      throw error;
    }
  });
}

/** @throws NO_SPACE */
async function requireRoom({ world, vms, settings }: LifecycleServices, { memoryMib }: VmSpec): Promise<void> {
  const directory = vms.pathsOf({ id: '' }).directory;
  await world.files.makePrivateDirectory(directory);
  const neededBytes = memoryMib * 1024 ** 2 + settings.reservedBytes;
  const freeBytes = await world.files.freeBytes(directory);
  if (freeBytes >= neededBytes) return;
  const sizes = `${formatSize(freeBytes)} are free, and ${formatSize(neededBytes)} are needed with the reserve`;
  throw new BangerError('NO_SPACE', `there is no room for a template in ${directory}: ${sizes}`, { remedy: 'df -h' });
}

const memory: Step<VmContext> = {
  name: 'memory',
  title: 'file of memory',
  async apply(context) {
    const staging = stagingOf(context);
    await context.services.world.files.makePrivateDirectory(staging);
    memoryPathOf.set(context, join(staging, 'memory'));
  },
};

/** What everything that a clone does first needs is in memory, and nothing else that can be read again. */
const calm: Step<VmContext> = {
  name: 'calm',
  title: 'calm',
  async apply(context, signal) {
    const { services, vm } = context;
    const { agent } = services.vms.machines.get(vm);
    await waitForInit(context, signal);
    const script = 'sync; echo 3 > /proc/sys/vm/drop_caches';
    const command = { argv: ['/bin/sh', '-c', script], env: {}, onLine: () => undefined, signal, timeoutMs: CALM_TIMEOUT_MS };
    await runInGuest(agent, command);
    // Every clone begins with it, and an agent that cannot do it refuses.
    const { machineId, unixMs, randomSeed } = { machineId: vm.id, unixMs: 'now', randomSeed: services.world.ids.randomBase64(64) } as const;
    await agent.personalize({ restored: true, machineId, unixMs, randomSeed }, { signal, timeoutMs: CALM_TIMEOUT_MS });
    await runInGuest(agent, { ...command, argv: ['/bin/sh', '-c', 'true'] });
  },
};

/** A machine that cannot come up by itself is no good beginning for others. */
async function waitForInit({ services, vm, image }: VmContext, signal: AbortSignal): Promise<void> {
  const { agent } = services.vms.machines.get(vm);
  const deadline = performance.now() + INIT_TIMEOUT_MS;
  for (;;) {
    const { init } = await agent.healthz({ signal });
    if (isInitUp(init, image.initSystem)) return;
    if (init === 'maintenance' || performance.now() > deadline) {
      throw new BangerError('BOOT_FAILED', `the system of a template of ${image.name} did not come up (${init})`);
    }
    await sleep(ASK_AGAIN_MS, undefined, { signal });
  }
}

/** From here on the machine stands still, and then is no more. */
const save: Step<VmContext> = {
  name: 'snapshot',
  title: 'memory',
  async apply(context, signal) {
    const live = context.services.vms.machines.get(context.vm);
    await snapshotsOf(context, live)(stagingOf(context), signal);
    await runAll({ ...nothing, steps: takeDownSteps({ ask: false }), context });
    assertEnded(context);
    await dropHoles(context, signal);
  },
};

/** A guest that boots fills pages with zeros again when it frees them. */
async function dropHoles(context: VmContext, signal: AbortSignal): Promise<void> {
  const { files, disks } = context.services.world;
  const [full, path] = [join(stagingOf(context), 'full'), join(stagingOf(context), 'memory')];
  if (!(await files.exists(path))) return;
  await files.moveFile(path, full);
  await disks.sparseCopy(full, path, signal);
  await files.removeTree(full);
}

const publish: Step<VmContext> = {
  name: 'template',
  title: 'template',
  async apply(context) {
    const { services, paths, move } = context;
    const { files } = services.world;
    await files.removeTree(paths.runtimeDirectory);
    for (const disk of [paths.rootOverlay, paths.workDisk]) await files.sync(disk);
    await files.publishDirectory(stagingOf(context), paths.snapshot);
    await evict(services, context.vm);
    move('template', { startedAt: null, runtime: runtimeAtRest(context) });
  },
};

/** Nothing of a machine that nobody used is worth to be undone in steps. */
const STEPS = [
  record,
  memory,
  ...stepsOf(CAPABILITIES, 'prepare'),
  ...bringUpSteps({ waitForServices: true }, CAPABILITIES),
  calm,
  save,
  publish,
].map(({ undo: _none, ...step }): Step<VmContext> => step);
