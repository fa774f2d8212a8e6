import { formatDuration } from '../../lib/duration.ts';
import { sshFingerprint } from '../../lib/ssh-fingerprint.ts';
import { BangerError } from '../../model/errors.ts';
import { trustOf } from '../../model/settings/host-trust.ts';
import type { Step } from '../../context/pipeline.ts';
import type { LifecycleServices, World } from '../../context/services.ts';
import type { BuildLog } from './build-log.ts';
import type { Build } from './build-request.ts';
import { type Builder, builderSteps, powerOffStep, removeBuilder, untrustStep } from './builder-vm.ts';
import type { ImageContext, ImageFacts } from './managed.ts';
import { provisionSteps } from './provision.ts';
import { given } from '../../lib/given.ts';
import { messageOf } from '../../lib/message-of.ts';

/** Free space in the seed of work disks, so that it can be mounted and written to without growing. */
const SEED_SPARE_BYTES = 64 * 1024 ** 2;

/** @param work.builder the temporary VM, made when the first step begins */
export function buildSteps(
  services: LifecycleServices,
  build: Build,
  { log, builder }: { log: BuildLog; builder: () => Builder },
): Step<ImageContext>[] {
  const { base, steps, packages, request } = build;
  const plan = { base, packages, steps, script: request.script ?? null };
  return [
    openLog,
    ...builderSteps(builder),
    ...provisionSteps(plan, { sources: services.images.sources, builder, log: (line) => log.line(line) }),
    ...endSteps(builder),
  ];
}

/** Ends the VM, and turns its disks into the image's. */
export function endSteps(builder: () => Builder): Step<ImageContext>[] {
  return [
    untrustStep(builder),
    powerOffStep(builder),
    takeDisks(builder),
    { name: 'builder-end', title: 'end of the temporary VM', apply: () => removeBuilder(builder()) },
  ];
}

/** The log stays, however the build ends: it tells why. */
export const openLog: Step<ImageContext> = {
  name: 'log',
  title: 'build log',
  async apply({ services, paths, operation }) {
    await services.world.files.makePrivateDirectory(paths.buildLog.slice(0, paths.buildLog.lastIndexOf('/')));
    operation.log(`build log: ${paths.buildLog}`);
  },
};

/** The disks of the stopped VM become the image's: nothing is copied. */
function takeDisks(builder: () => Builder): Step<ImageContext> {
  return {
    name: 'disks',
    title: 'root file system and work seed',
    async apply({ services, files, facts }, signal) {
      const { world } = services;
      const { rootOverlay, workDisk } = builder().context.paths;
      await checkDisk(world, rootOverlay, 'root file system', signal);
      await checkDisk(world, workDisk, 'work disk', signal);
      // The smaller the seed, the smaller a work disk may be.
      await world.disks.shrinkExt4(workDisk, SEED_SPARE_BYTES, signal);
      facts.workSeedFingerprint = await world.files.sha256File(workDisk, signal);
      // The guest agent has written this installation's key to the work disk.
      facts.sshKeyFingerprint = sshFingerprint(await services.vms.clientPublicKey());
      await world.files.moveFile(rootOverlay, files.rootfs);
      await world.files.moveFile(workDisk, files.workSeed);
    },
  };
}

/** The guest could write anything there. @throws STORAGE_FAILED */
async function checkDisk({ disks }: Pick<World, 'disks'>, path: string, what: string, signal: AbortSignal): Promise<void> {
  await disks.checkExt4(path, signal).catch((error: unknown) => {
    if (signal.aborted) throw error;
    const reason = messageOf(error);
    throw new BangerError('STORAGE_FAILED', `the ${what} of the build is unusable: ${reason}`, {
      remedy: 'look for the damage in the build log, then build again',
      cause: error,
    });
  });
}

/** @returns the facts about the image that are known before the build */
export function buildFacts(services: LifecycleServices, { request, base, steps, packages }: Build): ImageFacts {
  const { distribution, initSystem, entrypoint, env, user, workdir, stopSignal, notes } = base;
  return {
    ...{ distribution, initSystem, entrypoint, env, user, workdir, stopSignal, notes },
    packages,
    packagesHash: services.images.sources.hash(packages),
    servicePorts: [...new Set([...base.servicePorts, ...steps.flatMap((step) => step.servicePorts)])],
    recipe: {
      from: base.name,
      distribution,
      packagesPath: request.packages?.path ?? null,
      scriptPath: request.script?.path ?? null,
      steps: steps.map(({ name }) => name),
      ...trustOf(request, {}),
    },
  };
}

/** A step that is recorded in the build's log with its time; if it fails or is cancelled, the error names that log. */
export function logged(step: Step<ImageContext>, log: BuildLog, logPath: string): Step<ImageContext> {
  return {
    ...step,
    async apply(context, signal) {
      const startedAt = performance.now();
      log.line(`== ${step.title}`);
      try {
        await step.apply(context, signal);
        log.line(`== ${step.title}: done in ${formatDuration(performance.now() - startedAt)}`);
      } catch (error) {
        const text = messageOf(error);
        log.line(`== ${step.title}: ${signal.aborted ? 'cancelled' : `failed: ${text}`}`);
        throw withLog(error, text, logPath);
      }
    },
  };
}

function withLog(error: unknown, text: string, logPath: string): BangerError {
  if (!(error instanceof BangerError)) return new BangerError('INTERNAL', text, { cause: error, logPath });
  const { code, message, remedy, details } = error;
  return new BangerError(code, message, {
    ...given({ remedy, details }),
    logPath,
    cause: error,
  });
}
