import type { TemplateView } from '../api/template-schemas.ts';
import { templateBytes } from '../lifecycle/template/templates.ts';
import type { Vm } from '../model/vm.ts';
import type { DaemonServices } from './services.ts';

/** What the API shows of a template. */
export async function templateView(services: Pick<DaemonServices, 'vms' | 'world'>, template: Vm): Promise<TemplateView> {
  const { id, imageName, spec, createdAt, lastUsedAt } = template;
  return { id, image: imageName, spec, allocatedBytes: await templateBytes(services, template), createdAt, lastUsedAt };
}
