import { listenerOf, reachPorts } from '../../capabilities/ports.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import { BangerError } from '../../model/errors.ts';
import { isVmLoopback } from '../../model/network.ts';
import type { PortForward, Vm } from '../../model/vm.ts';
import { decideAction } from '../../model/vm-state.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext } from '../../context/vm-context.ts';

/**
 * Forwards a port of the host to one of the guest, from now on and whenever the VM runs. Repeating the same forward is fine.
 * @throws PORT_TAKEN, INVALID_INPUT, UNSUPPORTED, WRONG_STATE, NOT_FOUND before anything is recorded
 */
export function addForward(services: LifecycleServices, vm: Vm, forward: PortForward, signal: AbortSignal): Promise<Vm> {
  return services.vms.locks.hold(vm.id, signal, async () => {
    const present = presentVm(services, vm);
    decideAction(present, 'set');
    if (present.forwards.some((other) => isSame(other, forward) && other.guestPort === forward.guestPort)) return present;
    refuseOwnAddresses(forward);
    refuseTaken(services, present, forward);
    await refuseImpossible(services, present, forward);
    // Another VM may have taken it meanwhile.
    refuseTaken(services, present, forward);
    return apply(services, present, [...present.forwards, forward]);
  });
}

/** @throws NOT_FOUND if the VM has no such forward */
export function removeForward(
  services: LifecycleServices,
  vm: Vm,
  place: Omit<PortForward, 'guestPort'>,
  signal: AbortSignal,
): Promise<Vm> {
  return services.vms.locks.hold(vm.id, signal, async () => {
    const present = presentVm(services, vm);
    const rest = present.forwards.filter((other) => !isSame(other, place));
    if (rest.length === present.forwards.length) {
      throw new BangerError('NOT_FOUND', `${vm.name} has no forward of ${placeText(place)}`, {
        remedy: `banger vm forward list ${vm.name}`,
      });
    }
    return apply(services, present, rest);
  });
}

async function apply(services: LifecycleServices, vm: Vm, forwards: readonly PortForward[]): Promise<Vm> {
  const context = makeContext(services, vm);
  context.update({ forwards });
  const live = services.vms.machines.find(vm.id);
  if (live !== undefined) await reachPorts(context, live);
  return context.vm;
}

function presentVm(services: LifecycleServices, vm: Vm): Vm {
  const present = services.vms.records.find(vm.id);
  if (present === undefined) throw new BangerError('NOT_FOUND', `the VM ${vm.name} was deleted`, { remedy: 'banger vm list' });
  return present;
}

type Place = Omit<PortForward, 'guestPort'>;

function isSame(one: Place, other: Place): boolean {
  return one.protocol === other.protocol && one.hostPort === other.hostPort && one.hostAddress === other.hostAddress;
}

/** @returns whether the two forwards exclude each other */
function collides(one: Place, other: Place): boolean {
  const isEverywhere = one.hostAddress === '0.0.0.0' || other.hostAddress === '0.0.0.0';
  return one.protocol === other.protocol && one.hostPort === other.hostPort && (isEverywhere || one.hostAddress === other.hostAddress);
}

function placeText({ protocol, hostAddress, hostPort }: Place): string {
  return `${hostAddress}:${hostPort}/${protocol}`;
}

function refuseOwnAddresses({ hostAddress }: PortForward): void {
  if (!isVmLoopback(hostAddress)) return;
  throw new BangerError('INVALID_INPUT', `${hostAddress} is in the range of VMs' own addresses`, {
    remedy: 'use 127.0.0.1, 0.0.0.0 or an address of a network interface',
  });
}

function refuseTaken(services: LifecycleServices, vm: Vm, forward: PortForward): void {
  for (const holder of services.vms.records.list()) {
    const other = holder.forwards.find((candidate) => collides(candidate, forward));
    if (other === undefined) continue;
    throw new BangerError('PORT_TAKEN', `${placeText(other)} is forwarded to port ${other.guestPort} of ${holder.name}`, {
      remedy: `banger vm forward remove ${holder.name} ${placeText(other)}`,
      details: { vm: holder.name, ...other },
    });
  }
}

/** @returns the network that the VM would join if it were started now */
async function networkOfNext(services: LifecycleServices, vm: Vm): Promise<NetworkDriver | undefined> {
  try {
    return (await services.vms.drivers.choose(vm.runtime)).network;
  } catch (error) {
    if (error instanceof BangerError) return undefined;
    throw error;
  }
}

async function refuseImpossible(services: LifecycleServices, vm: Vm, forward: PortForward): Promise<void> {
  const { recorded, network, addressOnHost } = makeContext(services, vm);
  const driver = recorded.network ?? (await networkOfNext(services, vm));
  // If no VM can be started now, the port is checked when one can.
  if (driver === undefined) return;
  if (driver.probeForward === undefined) {
    throw new BangerError('UNSUPPORTED', `the ${driver.name} network forwards no ports`, {
      remedy: `use the VM's own address, ${addressOnHost}`,
    });
  }
  const problem = await driver.probeForward(network, listenerOf(forward));
  if (problem === undefined) return;
  const { hostPort, guestPort, hostAddress, protocol } = forward;
  const other = hostPort < 1024 ? hostPort + 8000 : hostPort + 1;
  throw new BangerError('PORT_TAKEN', `${placeText(forward)} cannot be forwarded: ${problem}`, {
    remedy: `banger vm forward ${vm.name} ${hostAddress}:${other}:${guestPort}/${protocol}`,
    details: { ...forward },
  });
}
