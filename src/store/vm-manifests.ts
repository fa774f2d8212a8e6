// A copy of every VM's record, as vm.json beside its disks. banger restores VMs from it if the database is lost.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Image } from '../model/image.ts';
import { VM_STATES } from '../model/vm-state.ts';
import type { Vm } from '../model/vm.ts';
import type { ImageStore } from './images.ts';
import { forwardsSchema, keepAwakeSchema, labelsSchema, runtimeSchema, sleepSchema, specSchema } from './vm-schema.ts';

/** The content of a manifest: the VM, and the image from which it boots. */
export type VmManifest = { vm: Vm; image: Image | null };

export type ManifestPlaces = {
  /** Absolute path of a VM's manifest, which is not written while its directory does not exist. */
  pathOf(vm: { id: string }): string;
  /** Gets the error if one could not be written, as on a full disk. The next change of the VM, or the next daemon, tries again. */
  onUnwritten(vm: Vm, error: unknown): void;
};

export type VmManifests = ReturnType<typeof createVmManifests>;

const FORMAT_VERSION = 1;

/**
 * Leaves out what a restored VM does not need (its last use, its last error): it changes often, and a manifest is only written when
 * anything else changes.
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
  sleep: sleepSchema.nullable().default(null),
  keepAwake: keepAwakeSchema.nullable().default(null),
  sshHostKey: z.string().nullable(),
  forwards: forwardsSchema.default([]),
  labels: labelsSchema.default({}),
  // The image store defines its form; the manifest only contains it.
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

/** @returns the content of a manifest, or undefined if this version cannot read it */
export function parseManifest(text: string): VmManifest | undefined {
  try {
    const { formatVersion: _version, image, ...kept } = manifestSchema.parse(JSON.parse(text));
    return { vm: { ...kept, lastUsedAt: null, lastError: null }, image: image as Image | null };
  } catch {
    return undefined;
  }
}

/** @param images whose records manifests also contain */
export function createVmManifests(images: Pick<ImageStore, 'find'>, places?: ManifestPlaces) {
  const textOf = (vm: Vm): string => renderManifest({ vm, image: images.find(vm.imageId) ?? null });

  /** Readers see the old or the new file. Not synced: the database is synced, and `heal` compares both. */
  function write(vm: Vm, text: string): void {
    if (places === undefined) return;
    const path = places.pathOf(vm);
    const partial = `${path}.partial`;
    try {
      writeFileSync(partial, text, { mode: 0o600 });
      renameSync(partial, path);
    } catch (error) {
      // The directory does not exist yet, or was removed already.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      rmSync(partial, { force: true });
      places.onUnwritten(vm, error);
    }
  }

  return {
    /** Writes the manifest if the record changed. @param before the former record; undefined for a new one */
    changed(vm: Vm, before: Vm | undefined): void {
      if (before === undefined || JSON.stringify(keptOf(vm)) !== JSON.stringify(keptOf(before))) write(vm, textOf(vm));
    },
    /** @returns the content of this VM's manifest; undefined if there is none, or it is damaged */
    read(vmId: string): VmManifest | undefined {
      try {
        const manifest = parseManifest(readFileSync(places?.pathOf({ id: vmId }) ?? '', 'utf8'));
        return manifest?.vm.id === vmId ? manifest : undefined;
      } catch {
        return undefined;
      }
    },
    /**
     * Writes the manifests that differ from their records: after a full disk or a crash, and for VMs that are older than manifests.
     * @param find returns the record when its turn comes
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
