import { BangerError } from '../../model/errors.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { Step } from '../../context/pipeline.ts';
import { preflight } from '../health/preflight.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { createManagedImage, type ImageContext } from './managed.ts';

export type ImportImageRequest = {
  name: string;
  /** Absolute: a tar, or the directory of an OCI layout. */
  path: string;
  /** Which of several images to take. */
  reference?: string | undefined;
  replace?: boolean | undefined;
};

/**
 * Turns a foreign image into a managed one, which boots with the kernel of the default image.
 * @throws before anything exists: NAME_TAKEN, INVALID_INPUT, BUNDLE_MISSING, NO_SPACE
 */
export async function importImage(services: LifecycleServices, request: ImportImageRequest): Promise<OperationRecord> {
  if (!(await services.world.files.exists(request.path))) {
    throw new BangerError('INVALID_INPUT', `there is nothing at ${request.path}`, { remedy: 'name a file or a directory of this host' });
  }
  const boot = await services.images.resolve(undefined);
  await preflight(services, 'image import');
  return createManagedImage(services, {
    verb: 'image.import',
    name: request.name,
    replace: request.replace === true,
    origin: 'imported',
    boot,
    steps: [readStep(request, boot.modulesPath)],
  });
}

function readStep(request: ImportImageRequest, modulesPath: string | null): Step<ImageContext> {
  return {
    name: 'import',
    title: 'root file system and work seed',
    async apply(context, signal) {
      const { services, paths, files, operation } = context;
      const scratch = `${paths.staging}/scratch`;
      const facts = await services.images.readForeign({
        ...{ path: request.path, reference: request.reference, modulesPath, scratch },
        ...{ rootfs: files.rootfs, workSeed: files.workSeed, signal },
        onProgress: (text) => operation.progress('import', text),
        onLog: (line) => operation.log(line),
      });
      Object.assign(context.facts, facts);
      await services.world.files.removeTree(scratch);
    },
  };
}
