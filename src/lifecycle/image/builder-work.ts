import type { Image } from '../../model/image.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { type BuildLog, openBuildLog } from './build-log.ts';
import { logged } from './build-steps.ts';
import { type Builder, type BuilderWish, makeBuilder, removeBuilder, reserveBuilder } from './builder-vm.ts';
import { createManagedImage, type BootFiles, type ImageContext, type ImageFacts } from './managed.ts';

/** An image that is made in a temporary VM. */
export type BuilderWork = BuilderWish & {
  replace: boolean;
  /** Null if the steps make them. */
  boot: BootFiles | null;
  /** The base of the VM. Called with the id of the new image, before the steps begin; the steps may make its files. */
  base(id: string): Image;
  /** Facts that are known from the start. */
  facts: ImageFacts;
  steps(work: { log: BuildLog; builder: () => Builder }): Step<ImageContext>[];
};

/**
 * Begins a build: reserves its VM and opens its log, which records each step.
 * @throws NAME_TAKEN, INVALID_INPUT, PREREQUISITE_MISSING before anything begins
 */
export function beginWithBuilder(services: LifecycleServices, work: BuilderWork): OperationRecord {
  const id = services.world.ids.newId();
  const base = work.base(id);
  const vm = reserveBuilder(services, base, work);
  const buildLogPath = services.images.pathsOf({ id }).buildLog;
  const log = openBuildLog(services, buildLogPath);
  let made: Builder | undefined;
  const builder = (): Builder => (made ??= makeBuilder(services, vm, base));
  const settle = async (): Promise<void> => {
    // If it is cancelled before its first step, no step was undone.
    if (services.vms.records.find(vm.id)?.state === 'creating') await removeBuilder(builder());
    await log.written();
  };
  try {
    return createManagedImage(services, {
      ...{ verb: 'image.build', name: work.name, replace: work.replace, origin: 'built', id, vm, boot: work.boot },
      facts: { ...work.facts, buildLogPath },
      steps: work.steps({ log, builder }).map((step) => logged(step, log, buildLogPath)),
      settle,
    });
  } catch (error) {
    services.vms.records.remove(vm.id);
    throw error;
  }
}
