import type { Operation, VmView } from '../api/schemas.ts';
import { addressesOf } from '../model/network.ts';
import type { OperationRecord } from '../model/operation.ts';
import { seenState } from '../model/vm-state.ts';
import type { LifecycleServices } from '../context/services.ts';
import type { Vm } from '../model/vm.ts';

/** What the API shows of a VM. */
export function vmView(services: Pick<LifecycleServices, 'vms'>, vm: Vm): VmView {
  const paths = services.vms.pathsOf(vm);
  const addresses = addressesOf(vm.networkIndex);
  return {
    id: vm.id,
    name: vm.name,
    state: seenState(vm),
    image: vm.imageName,
    spec: vm.spec,
    labels: vm.labels,
    guestAddress: vm.runtime?.guestAddress ?? addresses.guestAddress,
    address: services.vms.drivers.addressOnHost(vm.runtime, addresses),
    createdAt: vm.createdAt,
    startedAt: vm.startedAt,
    lastUsedAt: vm.lastUsedAt,
    sleep: vm.sleep === null ? null : { since: vm.sleep.since, why: vm.sleep.why },
    keepAwake: vm.keepAwake,
    hypervisor: vm.runtime?.hypervisor ?? null,
    accelerator: vm.runtime?.accelerator ?? null,
    storageDriver: vm.runtime?.storageDriver ?? null,
    networkDriver: vm.runtime?.networkDriver ?? null,
    pid: vm.runtime?.process?.pid ?? null,
    rescue: vm.runtime?.rescue === true,
    hasSshServer: vm.runtime?.hasSshServer ?? null,
    troubles: [...(vm.runtime?.troubles ?? [])],
    lastError: vm.lastError,
    paths: { directory: paths.directory, serialLog: paths.serialLog, vmmLog: paths.vmmLog, eventLog: paths.eventLog },
  };
}

/** Text of a VM's view; valid while its record is the same object and its address the same. */
const prepared = new WeakMap<Vm, { address: string; text: string }>();

/** @returns the views of all VMs as JSON. Of thousands, most have not changed since the last request. */
export function vmListText(services: Pick<LifecycleServices, 'vms'>): string {
  const texts = services.vms.records.list().map((vm) => {
    // The drivers that the configuration gives to a VM without recorded drivers may change with the bundle.
    const address = services.vms.drivers.addressOnHost(vm.runtime, addressesOf(vm.networkIndex));
    const known = prepared.get(vm);
    if (known?.address === address) return known.text;
    const text = JSON.stringify(vmView(services, vm));
    prepared.set(vm, { address, text });
    return text;
  });
  return `[${texts.join(',')}]`;
}

/** What the API shows of an operation. */
export function operationView(record: OperationRecord): Operation {
  return { ...record };
}
