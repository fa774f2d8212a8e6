import { createHash } from 'node:crypto';
import { isTrusting } from '../../capabilities/host-trust.ts';
import type { LifecycleServices } from '../../context/services.ts';
import type { Image } from '../../model/image.ts';
import { allSettings } from '../../model/settings/all.ts';
import type { VmSpec } from '../../model/vm.ts';

/** Of what templates are made from; another way to make them counts on. */
const FORMAT = 1;

/**
 * A new VM can begin as a clone only where all is the same that cannot change while a machine runs. What the snapshot itself depends on,
 * such as the version of the VMM, its driver checks.
 * @returns a fingerprint of all that; undefined for VMs that must boot
 */
export async function shapeOf(services: LifecycleServices, image: Image, spec: VmSpec): Promise<string | undefined> {
  // A container without an init has one program, and a clone would go on with that of the template.
  if (!services.settings.templates.enabled || image.initSystem === 'none') return undefined;
  const { hypervisor, storage, network } = await services.vms.drivers.choose(null);
  if (hypervisor.restore === undefined) return undefined;
  const parts = {
    format: FORMAT,
    image: [image.id, image.kernelPath, image.initramfsPath, image.rootfsPath, image.servicePorts],
    drivers: [hypervisor.name, storage.name, network.name],
    settings: allSettings().flatMap(([member, { needsStop }]) => (needsStop ? [[member, spec[member] ?? null]] : [])),
    // A VMM with a network of its own is told when it starts who may use it.
    nat: network.kind !== 'tap' && spec.nat,
    trust: await trustOf(services, spec),
  };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** What the guest of a template has got of the host's trust; the host may have more by now, or less. */
async function trustOf({ world: { trust } }: LifecycleServices, spec: VmSpec): Promise<unknown> {
  if (!isTrusting(spec)) return null;
  return [spec.hostCa === true && (await trust.certificates()), spec.hostProxy === true && trust.proxyVariables()];
}
