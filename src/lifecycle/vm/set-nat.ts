import { BangerError } from '../../model/errors.ts';
import { decideAction } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import type { LifecycleServices } from '../services.ts';
import { makeContext } from '../vm-context.ts';

/**
 * Gives a running VM the way to the outside, or takes it with every connection that goes there; its later starts keep to it.
 * A guest that booted without takes up its gateway and name server when it boots next.
 * @returns the VM as it is then
 * @throws NOT_FOUND, WRONG_STATE, UNSUPPORTED when the VM's network cannot, NETWORK_FAILED
 */
export function setNat(services: LifecycleServices, vm: Vm, nat: boolean, signal: AbortSignal): Promise<Vm> {
  return services.locks.hold(vm.id, signal, async () => {
    const present = services.vms.find(vm.id);
    if (present === undefined) throw new BangerError('NOT_FOUND', `VM ${vm.name} is gone`, { remedy: 'banger vm list' });
    decideAction(present, 'exec');
    services.machines.get(present);
    const { drivers, network } = makeContext(services, present);
    if (drivers.network.setNat === undefined) {
      throw new BangerError('UNSUPPORTED', `the ${drivers.network.name} network of VM ${vm.name} cannot change NAT while it runs`, {
        remedy: 'make the VM anew, with or without --no-nat',
        details: { network: drivers.network.name },
      });
    }
    await drivers.network.setNat({ ...network, nat });
    return services.vms.update(vm.id, { spec: { ...present.spec, nat } });
  });
}
