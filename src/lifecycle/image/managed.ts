import { BangerError } from '../../model/errors.ts';
import { completeImage, type Image } from '../../model/image.ts';
import type { ImagePaths } from '../../model/paths.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { OperationHandle } from '../../context/operations.ts';
import { runSteps, type Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { IMAGE_FILES, IMAGE_MANIFEST, renderImageManifest } from './manifest.ts';
import { reserveName, yieldName } from './names.ts';
import { lockOf, removeUnused } from './remove.ts';

/** Facts that the steps find out about their image; the rest comes from the request. */
export type ImageFacts = Partial<Omit<Image, 'id' | 'name' | 'managed' | 'createdAt' | 'kernelPath' | 'initramfsPath' | 'modulesPath'>>;

/** What the steps share about the image that they make. */
export type ImageContext = {
  readonly services: LifecycleServices;
  readonly id: string;
  readonly name: string;
  readonly paths: ImagePaths;
  /** Absolute paths in the staging directory; the steps make `rootfs`, and `workSeed` if the image has one. */
  readonly files: Record<keyof typeof IMAGE_FILES, string>;
  readonly operation: Pick<OperationHandle, 'log' | 'progress'>;
  /** The steps add to it. */
  facts: ImageFacts;
  /** Records from before the image was published: its own, and that of the image which gave up its name. */
  before: Image[];
};

/** Kernel, initramfs with the guest agent, and modules of the image; they are cloned, linked or copied. */
export type BootFiles = Pick<Image, 'kernelPath' | 'kernelVersion' | 'initramfsPath' | 'agentSha256' | 'modulesPath'>;

export type ManagedImageRequest = {
  /** `image.build`, `image.import`, … */
  verb: string;
  name: string;
  origin: Image['origin'];
  /** An image of that name gives it up once the new one is complete. */
  replace?: boolean;
  /** The VM of the operation, if any, which stays locked meanwhile. */
  vm?: { id: string; name: string } | null;
  /** Called at the end, whether the work succeeded or not. */
  settle?: () => Promise<void>;
  /** Default: a new id. */
  id?: string;
  /** Null if the steps make `files.kernel` and `files.initramfs` themselves. */
  boot: BootFiles | null;
  /** Facts that are known from the start. */
  facts?: ImageFacts;
  /** Make `files.rootfs` (and the rest) and add to `facts`. */
  steps: readonly Step<ImageContext>[];
};

/**
 * Makes a managed image: reserves its name from the first moment, lets the steps make its files in a staging directory, and publishes it by
 * one rename. A failure, a cancel or the daemon's end before that leaves nothing.
 * @throws NAME_TAKEN, INVALID_INPUT before anything begins
 */
export function createManagedImage(services: LifecycleServices, request: ManagedImageRequest): OperationRecord {
  const release = reserveName(services, request.name, request);
  const id = request.id ?? services.world.ids.newId();
  try {
    return services.operations.begin(request.verb, request.vm ?? null, async (operation) => {
      try {
        const context = imageContext(services, { id, name: request.name }, operation);
        context.facts = { ...request.facts, origin: request.origin };
        const { journal, signal } = operation;
        const lock = request.vm?.id ?? lockOf({ id });
        await services.vms.locks.hold(lock, signal, () => runSteps({ steps: managedSteps(request), context, journal, signal }));
        for (const replaced of context.before) await removeUnused(services, replaced);
      } finally {
        release();
        await request.settle?.();
      }
    });
  } catch (error) {
    release();
    throw error;
  }
}

export function imageContext(
  services: LifecycleServices,
  image: Pick<Image, 'id' | 'name'>,
  operation: Pick<OperationHandle, 'log' | 'progress'>,
): ImageContext {
  const paths = services.images.pathsOf(image);
  const files = Object.fromEntries(Object.entries(IMAGE_FILES).map(([part, name]) => [part, `${paths.staging}/${name}`]));
  return { services, ...image, paths, files: files as ImageContext['files'], operation, facts: {}, before: [] };
}

function managedSteps(request: ManagedImageRequest): Step<ImageContext>[] {
  const boot = request.boot === null ? [] : [adoptBootFiles(request.boot)];
  return [stage, ...request.steps, ...boot, publish(request.replace === true)];
}

const stage: Step<ImageContext> = {
  name: 'stage',
  title: 'image directory',
  apply: ({ services, paths }) => services.world.files.makePrivateDirectory(paths.staging),
  undo: ({ services, paths }) => services.world.files.removeTree(paths.staging),
};

/** A rebuilt bundle, or the owner of a registered image, must not remove them. */
function adoptBootFiles(boot: BootFiles): Step<ImageContext> {
  return {
    name: 'boot-files',
    title: 'kernel, initramfs and modules',
    async apply({ services, files, facts }, signal) {
      facts.kernelVersion = boot.kernelVersion;
      facts.agentSha256 = boot.agentSha256;
      await copyFile(services, boot.kernelPath, files.kernel, signal);
      await copyFile(services, boot.initramfsPath, files.initramfs, signal);
      if (boot.modulesPath !== null) await copyFile(services, boot.modulesPath, files.modules, signal);
    },
  };
}

/** Clones if the file system can, else copies without holes. */
export async function copyFile(
  { world: { disks } }: Pick<LifecycleServices, 'world'>,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  if (!(await disks.reflink(from, to))) await disks.sparseCopy(from, to, signal);
}

/** After its rename the image exists, also for a daemon that finds no record of it. */
function publish(replace: boolean): Step<ImageContext> {
  return {
    name: 'publish',
    title: 'image record',
    async apply(context) {
      const { services, paths, files } = context;
      const recordsNow = [services.images.records.findByName(context.name), services.images.records.find(context.id)];
      context.before = recordsNow.filter((record) => record !== undefined);
      const image = await describeImage(context);
      await services.world.files.writeFileAtomic(`${paths.staging}/${IMAGE_MANIFEST}`, renderImageManifest(image));
      await services.world.files.publishDirectory(paths.staging, paths.directory);
      const moved = (path: string): string => path.replace(paths.staging, paths.directory);
      const holder = services.images.records.findByName(image.name);
      if (holder !== undefined && !replace) throw new BangerError('NAME_TAKEN', `an image named ${image.name} appeared meanwhile`);
      if (holder !== undefined && holder.id !== image.id) yieldName(services, holder);
      services.images.records.save({
        ...image,
        kernelPath: moved(files.kernel),
        initramfsPath: moved(files.initramfs),
        modulesPath: image.modulesPath === null ? null : moved(files.modules),
        rootfsPath: moved(files.rootfs),
        workSeedPath: image.workSeedPath === null ? null : moved(files.workSeed),
      });
    },
    async undo({ services, paths, id, before }) {
      services.images.records.remove(id);
      for (const record of before) services.images.records.save(record);
      await services.world.files.removeTree(paths.directory);
    },
  };
}

async function describeImage({ services, files, facts, id, name }: ImageContext): Promise<Image> {
  const { world } = services;
  const hasSeed = await world.files.exists(files.workSeed);
  return completeImage({
    ...facts,
    id,
    name,
    managed: true,
    kernelPath: files.kernel,
    initramfsPath: files.initramfs,
    modulesPath: (await world.files.exists(files.modules)) ? files.modules : null,
    rootfsPath: files.rootfs,
    rootfsBytes: (await world.files.fileSize(files.rootfs)).bytes,
    workSeedPath: hasSeed ? files.workSeed : null,
    workSeedBytes: hasSeed ? (await world.files.fileSize(files.workSeed)).bytes : 0,
    createdAt: services.world.clock.now().toISOString(),
  });
}
