import type { MachineSpec } from '../drivers/hypervisor/contract.ts';
import type { NetworkVm } from '../drivers/network/contract.ts';
import type { Personalization } from '../guest/protocol.ts';
import { BangerError } from '../model/errors.ts';
import { completeImage, type Image } from '../model/image.ts';
import { addressesOf } from '../model/network.ts';
import type { VmPaths } from '../model/paths.ts';
import type { VmState } from '../model/vm-state.ts';
import { type Vm, shortId } from '../model/vm.ts';
import type { VmChange } from '../store/vms.ts';
import type { OperationHandle } from './operations.ts';
import type { LifecycleServices } from './services.ts';
import type { RecordedDrivers, VmDrivers } from './vm-drivers.ts';

/** What the steps of a verb share about one VM. */
export type VmContext = {
  readonly services: LifecycleServices;
  readonly paths: VmPaths;
  readonly image: Image;
  readonly network: NetworkVm;
  /** The drivers that made parts of this VM. If no driver of a kind is recorded, nothing of that kind was made. */
  readonly recorded: RecordedDrivers;
  /** The same, for callers that need a driver. @throws INTERNAL if none of the kind is recorded */
  readonly drivers: VmDrivers;
  /** Where programs on the host reach the VM. */
  readonly addressOnHost: string;
  /** Always as stored; only `update` and `move` change it. */
  readonly vm: Vm;
  update(change: VmChange): void;
  /** @throws INTERNAL if the table of states does not allow the move */
  move(to: VmState, change?: VmChange): void;
  /** The parts that could not be released, so that their drivers stay recorded. */
  readonly unreleased: Set<'hypervisor' | 'network'>;
  operation: Pick<OperationHandle, 'log' | 'progress'>;
};

/** Capabilities add to it before the VMM starts. */
export type MachineDraft = Pick<MachineSpec, 'network' | 'commandPrefix' | 'networkPid'> & { disks: MachineSpec['disks'][number][] };
export type GuestDraft = Personalization;

const silent: VmContext['operation'] = { log: () => undefined, progress: () => undefined };

/**
 * @param operation the running operation; if it is left out, nobody follows the progress
 * @param image an image that has no record yet, because it is being made
 */
export function makeContext(
  services: LifecycleServices,
  vm: Vm,
  operation: VmContext['operation'] = silent,
  image = services.images.records.find(vm.imageId) ?? missingImage(vm),
): VmContext {
  let present = vm;
  const addresses = addressesOf(vm.networkIndex);
  return {
    services,
    paths: services.vms.pathsOf(vm),
    image,
    network: { shortId: shortId(vm), addresses, nat: vm.spec.nat },
    get vm() {
      return present;
    },
    get recorded() {
      return services.vms.drivers.of(present.runtime);
    },
    get drivers() {
      return required(services.vms.drivers.of(present.runtime), present);
    },
    get addressOnHost() {
      return services.vms.drivers.addressOnHost(present.runtime, addresses);
    },
    update(change) {
      present = services.vms.records.update(vm.id, change);
    },
    move(to, change) {
      present = services.vms.records.move(vm.id, to, change);
    },
    unreleased: new Set(),
    operation,
  };
}

function required(recorded: RecordedDrivers, vm: Vm): VmDrivers {
  const demand = <Kind extends keyof VmDrivers>(kind: Kind): VmDrivers[Kind] => {
    const driver = recorded[kind];
    if (driver !== undefined) return driver;
    throw new BangerError('INTERNAL', `no ${kind} driver is recorded for ${vm.name}`);
  };
  return {
    get hypervisor() {
      return demand('hypervisor');
    },
    get storage() {
      return demand('storage');
    },
    get network() {
      return demand('network');
    },
  };
}

/** Delete and stop must work even if the image's record is gone; start fails on the missing files. */
function missingImage(vm: Vm): Image {
  return completeImage({ id: vm.imageId, name: vm.imageName, createdAt: vm.createdAt });
}
