import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { chooseSteps, type ProvisionStep } from '../../model/provisioning.ts';
import { trustOf } from '../../model/settings/host-trust.ts';
import { preflight } from '../health/preflight.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { checkTrust } from '../../capabilities/host-trust.ts';
import { bootstrapImage } from './bootstrap.ts';
import { storageOfBuilds } from './builder-vm.ts';
import { beginWithBuilder } from './builder-work.ts';
import { buildFacts, buildSteps } from './build-steps.ts';
import type { BuildRequest, Build } from './build-request.ts';

/** The step whose packages the user's own list replaces. */
const DEVELOPMENT = 'development';

/**
 * Builds an image in a temporary VM: boots a clone of the base, provisions and cleans it, and keeps its disks.
 * @throws before anything exists: INVALID_INPUT, NAME_TAKEN, NOT_FOUND, NO_SPACE, PREREQUISITE_MISSING
 */
export async function buildImage(services: LifecycleServices, request: BuildRequest): Promise<OperationRecord> {
  const distribution = services.images.distributions.get(request.distribution ?? '');
  if (distribution !== undefined && request.from === undefined) return bootstrapImage(services, distribution, request);
  const base = await chooseBase(services, request);
  const steps = await stepsFor(services, base, request);
  const packages = packagesOf(steps, request);
  const rootfsBytes = request.sizeBytes ?? Math.max(base.rootfsBytes, services.settings.defaultSpec.rootOverlayBytes);
  if (rootfsBytes < base.rootfsBytes) {
    throw new BangerError('INVALID_INPUT', `the root file system of ${base.name} has ${formatSize(base.rootfsBytes)} and cannot shrink`, {
      remedy: `use --size ${Math.ceil(base.rootfsBytes / 1024 ** 2)}M or more`,
    });
  }
  await checkTrust(services, trustOf(request, services.settings.defaultSpec));
  await preflight(services, 'image build', { image: base });
  await services.images.sources.check(steps);
  const storageDriver = await storageOfBuilds(services);
  return begin(services, { request, base, steps, packages, rootfsBytes }, storageDriver);
}

async function chooseBase(services: LifecycleServices, { from, distribution }: BuildRequest): Promise<Image> {
  const isOf = (image: Image): boolean => distribution === undefined || image.distribution.startsWith(distribution);
  const wanted = await services.images.resolve(from);
  if (isOf(wanted)) return wanted;
  const other = from === undefined ? services.images.records.list().find(isOf) : undefined;
  if (other !== undefined) return other;
  const problem =
    from === undefined
      ? `there is no image of ${distribution}`
      : `the image ${wanted.name} is of ${wanted.distribution}, not of ${distribution}`;
  throw new BangerError('INVALID_INPUT', problem, {
    remedy: 'banger image list',
  });
}

/** The steps are scripts for Debian's packages; on images of other distributions only the user's own script runs. */
async function stepsFor(
  { images: { distributions, sources: provisionSources } }: LifecycleServices,
  base: Image,
  request: BuildRequest,
): Promise<ProvisionStep[]> {
  if (!distributions.has(base.distribution)) return chooseSteps(await provisionSources.steps(), request);
  if (request.packages === undefined && request.only === undefined && request.skip === undefined) return [];
  throw new BangerError('INVALID_INPUT', `--packages, --step and --skip are for Debian, and ${base.name} is of ${base.distribution}`, {
    remedy: 'leave them out, and install packages with --script',
  });
}

function packagesOf(steps: readonly ProvisionStep[], { packages }: BuildRequest): string[] {
  const named = steps.flatMap((step) => (step.name === DEVELOPMENT && packages !== undefined ? [] : step.packages));
  return [...new Set([...(packages?.names ?? []), ...named])];
}

function begin(services: LifecycleServices, build: Build, storageDriver: string): OperationRecord {
  const { request, base, rootfsBytes } = build;
  return beginWithBuilder(services, {
    ...{ name: request.name, replace: request.replace === true, rootfsBytes, trust: trustOf(request, {}), storageDriver },
    boot: base,
    base: () => base,
    facts: buildFacts(services, build),
    steps: (work) => buildSteps(services, build, work),
  });
}
