import type { Operation, VmView } from '../api/schemas.ts';
import { addressesOf } from '../model/network.ts';
import type { OperationRecord } from '../model/operation.ts';
import type { LifecycleServices } from '../lifecycle/services.ts';
import type { Vm } from '../model/vm.ts';

/** What the API shows of a VM. */
export function vmView(services: Pick<LifecycleServices, 'pathsOf' | 'drivers'>, vm: Vm): VmView {
  const paths = services.pathsOf(vm);
  const addresses = addressesOf(vm.networkIndex);
  return {
    id: vm.id,
    name: vm.name,
    state: vm.state,
    image: vm.imageName,
    spec: vm.spec,
    guestAddress: vm.runtime?.guestAddress ?? addresses.guestAddress,
    address: services.drivers.of(vm.runtime).network.addressOnHost(addresses),
    createdAt: vm.createdAt,
    startedAt: vm.startedAt,
    lastUsedAt: vm.lastUsedAt,
    hypervisor: vm.runtime?.hypervisor ?? null,
    accelerator: vm.runtime?.accelerator ?? null,
    storageDriver: vm.runtime?.storageDriver ?? null,
    networkDriver: vm.runtime?.networkDriver ?? null,
    pid: vm.runtime?.process?.pid ?? null,
    lastError: vm.lastError,
    paths: { directory: paths.directory, serialLog: paths.serialLog, vmmLog: paths.vmmLog, eventLog: paths.eventLog },
  };
}

/** What the API shows of an operation. */
export function operationView(record: OperationRecord): Operation {
  return { ...record };
}
