import type { LifecycleServices } from '../../context/services.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { Vm } from '../../model/vm.ts';
import { discard } from '../hidden.ts';

/** Removes a template. VMs that were made from it do not need it; the next creation of its shape boots. */
export function deleteTemplate(services: LifecycleServices, template: Vm): OperationRecord {
  return services.operations.begin('template.delete', null, () => discard(services, template));
}
