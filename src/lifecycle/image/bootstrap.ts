import type { Distribution, FetchedSystem } from '../../images/distribution.ts';
import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import { completeImage, type Image } from '../../model/image.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { trustOf } from '../../model/settings/host-trust.ts';
import { preflight } from '../health/preflight.ts';
import { checkTrust } from '../../capabilities/host-trust.ts';
import type { Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import type { BuildLog } from './build-log.ts';
import { endSteps, openLog } from './build-steps.ts';
import type { BuildRequest } from './build-request.ts';
import { type Builder, builderSteps, storageOfBuilds } from './builder-vm.ts';
import { beginWithBuilder } from './builder-work.ts';
import { IMAGE_FILES } from './manifest.ts';
import type { ImageContext, ImageFacts } from './managed.ts';
import { cleanStep, ownScriptSteps, runScript, systemStep } from './provision.ts';

type Bootstrap = { distribution: Distribution; request: BuildRequest; names: readonly string[]; rootfsBytes: number };

/**
 * Makes an image of a distribution from its packages alone: the host downloads and assembles them, and their own scripts configure them in
 * a temporary VM that boots their kernel.
 * @throws before anything exists: INVALID_INPUT, NAME_TAKEN, NO_SPACE, PREREQUISITE_MISSING, BUNDLE_MISSING, UNSUPPORTED
 */
export async function bootstrapImage(
  services: LifecycleServices,
  distribution: Distribution,
  request: BuildRequest,
): Promise<OperationRecord> {
  refuseSteps(request);
  const names = request.packages?.names ?? (await distribution.packages());
  await preflight(services, 'image build --distribution');
  await checkTrust(services, trustOf(request, services.settings.defaultSpec));
  await distribution.check();
  await services.images.sources.check([]);
  const storageDriver = await storageOfBuilds(services);
  const rootfsBytes = request.sizeBytes ?? services.settings.defaultSpec.rootOverlayBytes;
  return beginWithBuilder(services, {
    ...{ name: request.name, replace: request.replace === true, rootfsBytes, trust: trustOf(request, {}), storageDriver },
    boot: null,
    base: (id) => rawImage(services, { id, name: request.name }),
    facts: factsOf(services, request, names),
    steps: (work) => bootstrapSteps(services, { distribution, request, names, rootfsBytes }, work),
  });
}

/** The steps of `image build` are scripts for Debian's packages. */
function refuseSteps({ only, skip, distribution }: BuildRequest): void {
  if (only === undefined && skip === undefined) return;
  throw new BangerError('INVALID_INPUT', `there are no provisioning steps for ${distribution}`, {
    remedy: 'leave out --step and --skip; use --packages and --script',
  });
}

/** The new image for the first boot of its VM: with the guest agent as first program, because its init is not configured yet. */
function rawImage(
  {
    images: { pathsOf: imagePathsOf },
    world: {
      clock: { now },
    },
  }: LifecycleServices,
  { id, name }: Pick<Image, 'id' | 'name'>,
): Image {
  const { staging } = imagePathsOf({ id });
  return completeImage({
    ...{ id, name, createdAt: now().toISOString(), initSystem: 'none' },
    kernelPath: `${staging}/${IMAGE_FILES.kernel}`,
    initramfsPath: `${staging}/${IMAGE_FILES.initramfs}`,
    rootfsPath: `${staging}/${IMAGE_FILES.rootfs}`,
    workSeedPath: `${staging}/${IMAGE_FILES.workSeed}`,
  });
}

function factsOf(
  { images: { sources: provisionSources } }: LifecycleServices,
  request: BuildRequest,
  names: readonly string[],
): ImageFacts {
  const recipe = {
    ...{ from: null, distribution: request.distribution ?? '', steps: [] },
    packagesPath: request.packages?.path ?? null,
    scriptPath: request.script?.path ?? null,
  };
  return { packages: [...names], packagesHash: provisionSources.hash(names), recipe };
}

function bootstrapSteps(
  services: LifecycleServices,
  plan: Bootstrap,
  { log, builder }: { log: BuildLog; builder: () => Builder },
): Step<ImageContext>[] {
  const work = { sources: services.images.sources, builder, log: (line: string) => log.line(line) };
  return [
    openLog,
    ...systemFiles(plan, log),
    ...builderSteps(builder),
    systemStep(work),
    {
      name: 'configure',
      title: 'configuration of the packages',
      apply: async (context, signal) => runScript(context, work, 'configure', await plan.distribution.configure(), {}, signal),
    },
    ...ownScriptSteps(plan.request.script ?? null, work),
    cleanStep(work),
    ...endSteps(builder),
  ];
}

function systemFiles({ distribution, names, rootfsBytes }: Bootstrap, log: BuildLog): Step<ImageContext>[] {
  let fetched: FetchedSystem | undefined;
  const told = ({ operation }: ImageContext, step: string) => ({
    onProgress: (text: string, fraction?: number) => operation.progress(step, text, fraction),
    onLog: (line: string) => log.line(line),
  });
  return [
    {
      name: 'packages',
      title: 'packages',
      async apply(context, signal) {
        // Two builds would write the same files of the cache.
        const fetch = () => distribution.fetch({ names, signal, ...told(context, 'packages') });
        fetched = await context.services.vms.locks.hold('packages of a distribution', signal, fetch);
      },
    },
    {
      name: 'assemble',
      title: 'kernel, initramfs, modules and root file system',
      async apply(context, signal) {
        const { services, paths, files, facts } = context;
        const scratch = `${paths.staging}/scratch`;
        Object.assign(facts, await fetched?.assemble({ ...files, scratch, signal, ...told(context, 'assemble') }));
        await services.world.files.removeTree(scratch);
        refuseSmaller(rootfsBytes, (await services.world.files.fileSize(files.rootfs)).bytes);
      },
    },
  ];
}

/** @throws INVALID_INPUT */
function refuseSmaller(wantedBytes: number, neededBytes: number): void {
  if (wantedBytes >= neededBytes) return;
  throw new BangerError(
    'INVALID_INPUT',
    `the packages need a root file system of ${formatSize(neededBytes)}, more than ${formatSize(wantedBytes)}`,
    {
      remedy: `use --size ${Math.ceil(neededBytes / 1024 ** 2)}M or more`,
    },
  );
}
