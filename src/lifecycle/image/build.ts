import { formatSize } from '../../lib/size.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { chooseSteps, type ProvisionStep } from '../../model/provisioning.ts';
import { preflight } from '../needs.ts';
import type { LifecycleServices } from '../services.ts';
import { openBuildLog } from './build-log.ts';
import { type Builder, makeBuilder, removeBuilder, reserveBuilder } from './builder-vm.ts';
import { createManagedImage } from './managed.ts';
import { buildFacts, buildSteps, logged } from './build-steps.ts';

export type BuildRequest = {
  name: string;
  /** Name or id; default: the default image, or one of the distribution. */
  from?: string | undefined;
  /** Beginning of the distribution that the base must be of. */
  distribution?: string | undefined;
  /** Of the root file system; default: what new VMs get. */
  sizeBytes?: number | undefined;
  /** In place of the packages that banger's own list names. */
  packages?: { path: string; names: string[] } | undefined;
  script?: { path: string; text: string } | undefined;
  /** Names of provisioning steps. */
  only?: string[] | undefined;
  skip?: string[] | undefined;
  replace?: boolean | undefined;
};

/** Step of which the user's own list takes the place of the packages. */
const DEVELOPMENT = 'development';

/**
 * Builds an image in a temporary VM: boots a clone of the base, provisions and cleans it, and keeps its disks (8.3).
 * @throws before anything exists: INVALID_INPUT, NAME_TAKEN, NOT_FOUND, NO_SPACE, PREREQUISITE_MISSING
 */
export async function buildImage(services: LifecycleServices, request: BuildRequest): Promise<OperationRecord> {
  const base = await chooseBase(services, request);
  const steps = chooseSteps(await services.provisionSources.steps(), request);
  const packages = packagesOf(steps, request);
  const rootfsBytes = request.sizeBytes ?? Math.max(base.rootfsBytes, services.settings.defaultSpec.rootOverlayBytes);
  if (rootfsBytes < base.rootfsBytes) {
    throw new BangerError('INVALID_INPUT', `the root file system of ${base.name} has ${formatSize(base.rootfsBytes)} and is never shrunk`, {
      remedy: `use --size ${Math.ceil(base.rootfsBytes / 1024 ** 2)}M or more`,
    });
  }
  await preflight(services, 'image build', { image: base });
  await services.provisionSources.check(steps);
  await services.drivers.choose({ bootId: services.host.bootId(), storageDriver: 'copy' });
  return begin(services, { request, base, steps, packages, rootfsBytes });
}

/** A request, understood. */
export type Build = { request: BuildRequest; base: Image; steps: ProvisionStep[]; packages: string[]; rootfsBytes: number };

async function chooseBase(services: LifecycleServices, { from, distribution }: BuildRequest): Promise<Image> {
  const isOf = (image: Image): boolean => distribution === undefined || image.distribution.startsWith(distribution);
  const wanted = await services.resolveImage(from);
  if (isOf(wanted)) return wanted;
  const other = from === undefined ? services.images.list().find(isOf) : undefined;
  if (other !== undefined) return other;
  throw new BangerError('INVALID_INPUT', `${from === undefined ? 'no image' : `the image ${wanted.name}`} is of ${distribution}`, {
    remedy: 'banger image list',
  });
}

function packagesOf(steps: readonly ProvisionStep[], { packages }: BuildRequest): string[] {
  const named = steps.flatMap((step) => (step.name === DEVELOPMENT && packages !== undefined ? [] : step.packages));
  return [...new Set([...(packages?.names ?? []), ...named])];
}

function begin(services: LifecycleServices, build: Build): OperationRecord {
  const { request, base } = build;
  const id = services.newId();
  const vm = reserveBuilder(services, base, request.name, build.rootfsBytes);
  const buildLogPath = services.imagePathsOf({ id }).buildLog;
  const log = openBuildLog(services, buildLogPath);
  let builder: Builder | undefined;
  const settle = async (): Promise<void> => {
    // Cancelled before its first step, nothing was undone.
    if (services.vms.find(vm.id)?.state === 'creating') await removeBuilder(builder ?? makeBuilder(services, vm, SILENT));
    await log.written();
  };
  try {
    const steps = buildSteps(services, build, log, () => (builder ??= makeBuilder(services, vm, SILENT)));
    return createManagedImage(services, {
      verb: 'image.build',
      name: request.name,
      replace: request.replace === true,
      origin: 'built',
      id,
      vm,
      boot: base,
      facts: { ...buildFacts(services, build), buildLogPath },
      steps: steps.map((step) => logged(step, log, buildLogPath)),
      settle,
    });
  } catch (error) {
    services.vms.remove(vm.id);
    throw error;
  }
}

/** The lines of a build are told by its steps, not by those of its VM. */
const SILENT = { log: () => undefined, progress: () => undefined };
