import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import type { OperationRecord } from '../../model/operation.ts';
import { completeSpec } from '../../model/settings/complete.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { preflight } from '../health/preflight.ts';
import { makeTemplate, type TemplateWish } from './make.ts';
import { shapeOf } from './shape.ts';

const silent = { journal: () => undefined, log: () => undefined, progress: () => undefined };

/** Makes a template for the next VM of this shape, unless there is one. Nobody waits for it. */
export function makeInBackground(services: LifecycleServices, seen: Omit<TemplateWish, 'isAwaited'>): void {
  const wish = { ...seen, isAwaited: false };
  services.background.begin(`template of ${wish.image.name}, ${wish.shape}`, (signal) =>
    makeTemplate(services, wish, { ...silent, signal }),
  );
}

/**
 * Makes the template of an image for VMs with the settings of new ones, unless there is one.
 * @throws before anything begins: UNSUPPORTED if such VMs must boot; PREREQUISITE_MISSING, NO_SPACE
 */
export async function warmImage(services: LifecycleServices, image: Image): Promise<OperationRecord> {
  await preflight(services, 'vm create', { image });
  const spec = completeSpec(services.settings.defaultSpec, {}, image);
  const shape = await shapeOf(services, image, spec);
  if (shape === undefined) throw await whyNone(services, image);
  return services.operations.begin('image.warm', null, (operation) =>
    makeTemplate(services, { image, spec, shape, isAwaited: true }, operation),
  );
}

async function whyNone({ settings, vms }: LifecycleServices, { name, initSystem }: Image): Promise<BangerError> {
  if (!settings.templates.enabled) {
    return new BangerError('UNSUPPORTED', 'templates are switched off', {
      remedy: 'set enabled = true in [templates] of the configuration',
    });
  }
  const remedy = `banger vm create --image ${name}`;
  if (initSystem === 'none') return new BangerError('UNSUPPORTED', `the image ${name} has no init, so its VMs always boot`, { remedy });
  const { hypervisor } = await vms.drivers.choose(null);
  return new BangerError('UNSUPPORTED', `${hypervisor.name} cannot restore VMs here, so they always boot`, { remedy });
}
