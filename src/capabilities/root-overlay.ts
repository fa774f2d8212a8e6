import type { AttachedDisk, Disk } from '../drivers/storage/contract.ts';
import type { VmContext } from '../context/vm-context.ts';
import type { Finding } from '../model/finding.ts';
import { cloneSource } from '../context/clone-source.ts';
import { stepResult } from '../context/step-result.ts';
import type { Step } from '../context/pipeline.ts';
import type { Capability, Change } from '../context/capability.ts';

/** The disk of this start. */
const attached = stepResult<AttachedDisk>('the root disk');

/** The VM's private copy-on-write layer over the image's root file system: /dev/vda. */
export const rootOverlay: Capability = {
  name: 'root-overlay',
  traits: { ofOwnSystem: true },
  prepare: {
    name: 'root-overlay',
    title: 'root overlay',
    async apply(context, signal) {
      const { vm, image, services, update } = context;
      const { storage } = await services.vms.drivers.choose(vm.runtime);
      update({ runtime: { bootId: services.world.processes.bootId(), ...vm.runtime, storageDriver: storage.name } });
      const [disk, source] = [rootDiskOf(context), cloneSource.find(context)];
      if (source === undefined) {
        await storage.root.create({ ...disk, basePath: image.rootfsPath, sizeBytes: vm.spec.rootOverlayBytes }, signal);
      } else await storage.root.clone(rootDiskOf({ vm: source, paths: services.vms.pathsOf(source) }), disk, signal);
    },
    undo: (context) => context.recorded.storage?.root.remove(rootDiskOf(context)),
  },
  async prepareFork(context, source, signal) {
    const { image, drivers } = context;
    const disks = drivers.storage.root;
    const sizeBytes = await disks.sizeBytes(rootDiskOf(source));
    await disks.createBlank?.({ ...rootDiskOf(context), basePath: image.rootfsPath, sizeBytes }, signal);
  },
  beforeStart: {
    name: 'root-disk',
    title: 'root disk',
    async apply(context, signal) {
      attached.set(context, await context.drivers.storage.root.attach(rootDiskOf(context), signal));
    },
    undo: (context) => context.recorded.storage?.root.detach?.(rootDiskOf(context)),
  },
  machine(context, draft) {
    draft.disks.push({ ...attached.get(context), readOnly: false, durable: true });
  },
  guestConfig(_context, draft) {
    draft.growRoot = true;
  },
  change: {
    takesSpace: isGrown,
    make: (change) => (isGrown(change) ? [grow(change.to.spec.rootOverlayBytes)] : []),
  },
  async doctor(context) {
    const { vm, image, services, recorded } = context;
    const { files } = services.world;
    const disk = rootDiskOf(context);
    const findings: Finding[] = [];
    const base = { name: 'root-overlay', level: 'fail', vm: vm.name, code: 'STORAGE_FAILED' } as const;
    if ((await recorded.storage?.root.allocatedBytes(disk)) === undefined) {
      const reason = `the root overlay of ${vm.name} is missing (${disk.path})`;
      findings.push({ ...base, reason, remedy: 'put it back from a backup, or delete the VM' });
    }
    for (const path of [image.rootfsPath, image.kernelPath, image.initramfsPath]) {
      if (path !== '' && (await files.exists(path))) continue;
      const what = path === '' ? 'has no record' : `lacks ${path}`;
      const remedy = image.origin === 'bundle' && !image.managed ? 'banger bundle build' : 'put it back from a backup';
      findings.push({ ...base, name: 'image', reason: `the image ${image.name}, from which ${vm.name} boots, ${what}`, remedy });
      break;
    }
    return findings;
  },
};

/** @returns the VM's root disk in the form of the storage contract */
export function rootDiskOf({ vm, paths }: Pick<VmContext, 'vm' | 'paths'>): Disk {
  return { vmId: vm.id, path: paths.rootOverlay };
}

function isGrown({ from, to }: Change): boolean {
  return to.spec.rootOverlayBytes > from.spec.rootOverlayBytes;
}

/** Cannot be undone. */
function grow(toBytes: number): Step<VmContext> {
  return {
    name: 'root-overlay',
    title: 'root overlay',
    apply: (context) => context.drivers.storage.root.grow(rootDiskOf(context), toBytes),
  };
}
