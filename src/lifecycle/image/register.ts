import { BangerError } from '../../model/errors.ts';
import { ext4Problem, IMAGE_HEAD_BYTES, initramfsProblem, kernelProblem } from '../../model/image-files.ts';
import { completeImage, type Image, type InitSystem } from '../../model/image.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { reserveName } from './names.ts';
import { messageOf } from '../../lib/message-of.ts';

/** Files of the user; paths are absolute. */
export type RegisterRequest = {
  name: string;
  rootfsPath: string;
  /** Kernel, initramfs and modules belong together; without them the default image's are used. */
  kernelPath?: string | undefined;
  initramfsPath?: string | undefined;
  modulesPath?: string | undefined;
  workSeedPath?: string | undefined;
  distribution?: string | undefined;
  initSystem?: InitSystem | undefined;
  servicePorts?: number[] | undefined;
};

/**
 * Records an image whose files stay where they are and belong to the user. Each file is checked first; none is ever written.
 * @throws INVALID_INPUT with the file and what is wrong with it, NAME_TAKEN, BUNDLE_MISSING
 */
export async function registerImage(services: LifecycleServices, request: RegisterRequest): Promise<Image> {
  const release = reserveName(services, request.name);
  try {
    const image = completeImage({
      ...(await look(services, request)),
      id: services.world.ids.newId(),
      createdAt: services.world.clock.now().toISOString(),
    });
    services.images.records.save(image);
    return image;
  } finally {
    release();
  }
}

async function look(services: LifecycleServices, request: RegisterRequest): Promise<Omit<Partial<Image>, 'id'> & Pick<Image, 'name'>> {
  const { name, rootfsPath, kernelPath, initramfsPath, modulesPath, workSeedPath } = request;
  if ((kernelPath === undefined) !== (initramfsPath === undefined)) {
    throw new BangerError('INVALID_INPUT', "a kernel and an initramfs go together: the initramfs loads the kernel's modules", {
      remedy: 'give --kernel and --initramfs, or neither',
    });
  }
  const rootfsBytes = await inspect(services, 'root file system', rootfsPath, ext4Problem);
  const workSeedBytes = workSeedPath === undefined ? 0 : await inspect(services, 'work seed', workSeedPath, ext4Problem);
  if (kernelPath !== undefined) await inspect(services, 'kernel', kernelPath, kernelProblem);
  if (initramfsPath !== undefined) await inspect(services, 'initramfs', initramfsPath, initramfsProblem);
  if (modulesPath !== undefined) await inspect(services, 'archive of modules', modulesPath, () => undefined);
  const standard = kernelPath === undefined ? await services.images.resolve(undefined) : undefined;
  return {
    name,
    origin: 'registered',
    rootfsPath,
    rootfsBytes,
    workSeedPath: workSeedPath ?? null,
    workSeedBytes,
    kernelPath: kernelPath ?? standard?.kernelPath ?? '',
    initramfsPath: initramfsPath ?? standard?.initramfsPath ?? '',
    agentSha256: standard?.agentSha256 ?? null,
    modulesPath: modulesPath ?? standard?.modulesPath ?? null,
    kernelVersion: standard?.kernelVersion ?? null,
    distribution: request.distribution ?? 'unknown',
    initSystem: request.initSystem ?? 'systemd',
    servicePorts: request.servicePorts ?? [],
  };
}

type Check = (head: Uint8Array, fileBytes: number) => string | undefined;

/** @returns size of the file, bytes. @throws INVALID_INPUT */
async function inspect({ world: { files } }: LifecycleServices, what: string, path: string, check: Check): Promise<number> {
  const refuse = (reason: string, remedy: string): never => {
    throw new BangerError('INVALID_INPUT', `the ${what} ${path} cannot be used: ${reason}`, { remedy, details: { path } });
  };
  if (!path.startsWith('/')) return refuse('its path is not absolute', 'give the whole path, from / on');
  let facts: { bytes: number | undefined; head: Uint8Array };
  try {
    const bytes = await files.regularFileSize(path);
    facts = { bytes, head: bytes === undefined ? new Uint8Array() : await files.readHead(path, IMAGE_HEAD_BYTES) };
  } catch (error) {
    return refuse(messageOf(error), `ls -l ${path}`);
  }
  if (facts.bytes === undefined) return refuse('it is not a regular file', `ls -l ${path}`);
  const problem = check(facts.head, facts.bytes);
  return problem === undefined ? facts.bytes : refuse(problem, `look at it: file ${path}`);
}
