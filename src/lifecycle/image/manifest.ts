// `image.json` of a managed image: the record, with file names instead of paths. banger restores the image from it if the database is lost.
import { z } from 'zod';
import { completeImage, type Image } from '../../model/image.ts';

export const IMAGE_MANIFEST = 'image.json';

/** Names of a managed image's files in its directory. */
export const IMAGE_FILES = {
  kernel: 'kernel',
  initramfs: 'initramfs',
  modules: 'modules.tar.zst',
  rootfs: 'rootfs.ext4',
  workSeed: 'work-seed.ext4',
} as const;

const FORMAT_VERSION = 1;

const name = z.enum(IMAGE_FILES);
const schema = z.strictObject({
  formatVersion: z.literal(FORMAT_VERSION),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  name: z.string(),
  managed: z.literal(true),
  origin: z.enum(['bundle', 'registered', 'built', 'imported']),
  kernelPath: name,
  initramfsPath: name,
  modulesPath: name.nullable(),
  rootfsPath: name,
  rootfsBytes: z.number(),
  workSeedPath: name.nullable(),
  workSeedBytes: z.number(),
  distribution: z.string(),
  initSystem: z.enum(['systemd', 'runit', 'none']),
  // Images of older versions lack it.
  kernelVersion: z.string().nullable().default(null),
  packages: z.array(z.string()),
  packagesHash: z.string().nullable(),
  servicePorts: z.array(z.number()),
  entrypoint: z.array(z.string()).nullable(),
  env: z.record(z.string(), z.string()),
  user: z.string().nullable(),
  workdir: z.string().nullable(),
  // Manifests of older versions lack both.
  stopSignal: z.number().int().min(1).max(64).nullable().default(null),
  notes: z.array(z.string()).default([]),
  workSeedFingerprint: z.string().nullable(),
  sshKeyFingerprint: z.string().nullable(),
  // Manifests of older versions lack it.
  agentSha256: z.string().nullable().default(null),
  buildLogPath: z.string().nullable(),
  recipe: z
    .strictObject({
      from: z.string().nullable(),
      distribution: z.string(),
      packagesPath: z.string().nullable(),
      scriptPath: z.string().nullable(),
      steps: z.array(z.string()),
      hostCa: z.boolean().exactOptional(),
      hostProxy: z.boolean().exactOptional(),
    })
    .nullable(),
  createdAt: z.string(),
});

const PATHS = ['kernelPath', 'initramfsPath', 'modulesPath', 'rootfsPath', 'workSeedPath'] as const;

/** @returns the text of `image.json` */
export function renderImageManifest(image: Image): string {
  const names = Object.fromEntries(PATHS.map((key) => [key, image[key]?.slice(image[key].lastIndexOf('/') + 1) ?? null]));
  return `${JSON.stringify({ formatVersion: FORMAT_VERSION, ...image, ...names }, null, 2)}\n`;
}

/**
 * @param directory of the manifest; the paths of the image are below it
 * @returns the image; undefined for anything but a manifest of a known version
 */
export function parseImageManifest(text: string, directory: string): Image | undefined {
  try {
    const { formatVersion: _, ...manifest } = schema.parse(JSON.parse(text));
    const path = (file: string | null): string | null => (file === null ? null : `${directory}/${file}`);
    return completeImage({
      ...manifest,
      kernelPath: `${directory}/${manifest.kernelPath}`,
      initramfsPath: `${directory}/${manifest.initramfsPath}`,
      rootfsPath: `${directory}/${manifest.rootfsPath}`,
      modulesPath: path(manifest.modulesPath),
      workSeedPath: path(manifest.workSeedPath),
    });
  } catch {
    return undefined;
  }
}
