// Every VM's record once more, as vm.json beside its disks: from it VMs come back when the database is lost.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Image } from '../model/image.ts';
import { VM_STATES } from '../model/vm-state.ts';
import type { Vm } from '../model/vm.ts';
import type { ImageStore } from './images.ts';
import { forwardsSchema, labelsSchema, runtimeSchema, specSchema } from './vm-schema.ts';

/** What a manifest tells: the VM, and the image that it boots from. */
export type VmManifest = { vm: Vm; image: Image | null };

export type ManifestPlaces = {
  /** Absolute path of a VM's manifest; while its directory does not exist there is none. */
  pathOf(vm: { id: string }): string;
  /** Told when one could not be written, as on a full disk. The next change of the VM, or the next daemon, tries again. */
  onUnwritten(vm: Vm, error: unknown): void;
};

export type VmManifests = ReturnType<typeof createVmManifests>;

const FORMAT_VERSION = 1;

/**
 * What is of no use to a VM that comes back (its last use, its last error) is left out: it changes often, and each manifest
 * is as old as the last change of anything else.
 */
const manifestSchema = z.object({
  formatVersion: z.literal(FORMAT_VERSION),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  name: z.string(),
  state: z.enum(VM_STATES),
  imageId: z.string(),
  imageName: z.string(),
  spec: specSchema,
  networkIndex: z.number().int(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  runtime: runtimeSchema.nullable(),
  sshHostKey: z.string().nullable(),
  forwards: forwardsSchema.default([]),
  labels: labelsSchema.default({}),
  // Its form is the image store's affair; it is only kept.
  image: z.looseObject({ id: z.string(), name: z.string(), kernelPath: z.string(), rootfsPath: z.string() }).nullable(),
});

/** @returns the text of a manifest */
export function renderManifest({ vm, image }: VmManifest): string {
  return `${JSON.stringify({ formatVersion: FORMAT_VERSION, ...keptOf(vm), image }, null, 2)}\n`;
}

function keptOf(vm: Vm): Omit<Vm, 'lastUsedAt' | 'lastError'> {
  const { lastUsedAt: _lastUse, lastError: _lastError, ...kept } = vm;
  return kept;
}

/** @returns what the text of a manifest tells, or undefined when it is none that this version knows */
export function parseManifest(text: string): VmManifest | undefined {
  try {
    const { formatVersion: _version, image, ...kept } = manifestSchema.parse(JSON.parse(text));
    return { vm: { ...kept, lastUsedAt: null, lastError: null }, image: image as Image | null };
  } catch {
    return undefined;
  }
}

/** @param images whose records manifests hold as well */
export function createVmManifests(images: Pick<ImageStore, 'find'>, places?: ManifestPlaces) {
  const textOf = (vm: Vm): string => renderManifest({ vm, image: images.find(vm.imageId) ?? null });

  /** Whole or not at all for whoever reads it. Not synced: the database is, and `heal` compares them. */
  function write(vm: Vm, text: string): void {
    if (places === undefined) return;
    const path = places.pathOf(vm);
    const partial = `${path}.partial`;
    try {
      writeFileSync(partial, text, { mode: 0o600 });
      renameSync(partial, path);
    } catch (error) {
      // No directory: it is not made yet, or removed already.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      rmSync(partial, { force: true });
      places.onUnwritten(vm, error);
    }
  }

  return {
    /** Keeps the manifest up to date with the record. @param before the record as it was; undefined for a new one */
    changed(vm: Vm, before: Vm | undefined): void {
      if (before === undefined || JSON.stringify(keptOf(vm)) !== JSON.stringify(keptOf(before))) write(vm, textOf(vm));
    },
    /** @returns what the manifest of this id tells; undefined when there is none, or it is damaged */
    read(vmId: string): VmManifest | undefined {
      try {
        const manifest = parseManifest(readFileSync(places?.pathOf({ id: vmId }) ?? '', 'utf8'));
        return manifest?.vm.id === vmId ? manifest : undefined;
      } catch {
        return undefined;
      }
    },
    /**
     * Writes the manifests that do not say what the records say: those that a full disk or a death left behind, and those of VMs
     * that are older than manifests.
     * @param find gives the record as it is when its turn comes
     */
    async heal(ids: readonly string[], find: (id: string) => Vm | undefined, signal: AbortSignal): Promise<void> {
      if (places === undefined) return;
      for (const id of ids) {
        const there = await readFile(places.pathOf({ id }), 'utf8').catch(() => '');
        if (signal.aborted) return;
        const vm = find(id);
        if (vm !== undefined && textOf(vm) !== there) write(vm, textOf(vm));
      }
    },
  };
}
