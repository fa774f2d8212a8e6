import { join } from 'node:path';
import type { LifecycleServices } from '../../context/services.ts';
import { BangerError } from '../../model/errors.ts';
import { messageOf } from '../../lib/message-of.ts';
import { formatSize } from '../../lib/size.ts';
import type { Vm } from '../../model/vm.ts';
import { discard, hiddenVms } from '../hidden.ts';

/** The label of a template's record that holds its shape. */
export const SHAPE = 'shape';

/** @returns the templates that clones can be made of, the oldest first */
export function templatesOf(services: Pick<LifecycleServices, 'vms'>): Vm[] {
  return hiddenVms(services).filter(({ state }) => state === 'template');
}

/** @returns the newest template of this shape */
export function findTemplate(services: Pick<LifecycleServices, 'vms'>, shape: string | undefined): Vm | undefined {
  return shape === undefined ? undefined : templatesOf(services).findLast(({ labels }) => labels[SHAPE] === shape);
}

/** Notes that a clone was made of it, so that it is not the first to go. */
export function touchTemplate(services: LifecycleServices, template: Vm): void {
  try {
    const present = services.vms.records.find(template.id);
    if (present?.state === 'template') services.vms.records.update(template.id, { lastUsedAt: services.world.clock.now().toISOString() });
  } catch (error) {
    services.world.warn('the use of a template could not be noted', { template: template.name, reason: messageOf(error) });
  }
}

/** @returns what a template takes of the host's disk, bytes */
export async function templateBytes(services: Pick<LifecycleServices, 'vms' | 'world'>, template: Vm): Promise<number> {
  const { rootOverlay, workDisk } = services.vms.pathsOf(template);
  return (await memoryOnDisk(services, template)) + (await bytesOf(services, [rootOverlay, workDisk]));
}

/** @returns what the memory of a machine at rest takes of the host's disk, bytes */
export async function memoryOnDisk(services: Pick<LifecycleServices, 'vms' | 'world'>, vm: Vm): Promise<number> {
  const { snapshot } = services.vms.pathsOf(vm);
  const names = await services.world.files.namesIn(snapshot);
  return bytesOf(
    services,
    names.map((name) => join(snapshot, name)),
  );
}

/** What is just being removed takes nothing. */
async function bytesOf({ world: { files } }: Pick<LifecycleServices, 'world'>, paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    paths.map((path) =>
      files.fileSize(path).then(
        (size) => size.allocatedBytes,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * Removes the templates that were used longest ago until the others fit into the budget.
 * @param kept stays in any case
 * @throws NO_SPACE if it alone is larger than the budget
 */
export async function evict(services: LifecycleServices, kept: Vm): Promise<void> {
  const { budgetBytes } = services.settings.templates;
  const ownBytes = await templateBytes(services, kept);
  if (ownBytes > budgetBytes) {
    throw new BangerError('NO_SPACE', `a template takes ${formatSize(ownBytes)}, and all may take ${formatSize(budgetBytes)}`, {
      remedy: 'raise budget in [templates] of the configuration',
      details: { neededBytes: ownBytes, budgetBytes },
    });
  }
  const newestFirst = templatesOf(services)
    .filter(({ id }) => id !== kept.id)
    .toSorted((one, other) => lastUse(other).localeCompare(lastUse(one)));
  let takenBytes = ownBytes;
  for (const template of newestFirst) {
    takenBytes += await templateBytes(services, template);
    if (takenBytes > budgetBytes) await discard(services, template);
  }
}

const lastUse = ({ lastUsedAt, createdAt }: Vm): string => lastUsedAt ?? createdAt;
