// Images: the schemas of replies and requests.
import { z } from 'zod';
import { LIMITS, PACKAGE_NAME } from '../model/limits.ts';

const initSystem = z.enum(['systemd', 'runit', 'none']);
const newName = z.string().max(1024).describe('DNS label');
const hostPath = (what: string) => z.string().startsWith('/').max(4096).describe(`${what}, an absolute path on the host`);
const guestPort = z.number().int().min(1).max(65_535);

export const imageSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    managed: z.boolean().describe('whether banger owns the files'),
    origin: z.enum(['bundle', 'registered', 'built', 'imported']),
    isDefault: z.boolean(),
    distribution: z.string(),
    initSystem,
    kernelVersion: z.string().nullable().describe('uname -r, where it is known'),
    kernelPath: z.string(),
    initramfsPath: z.string(),
    modulesPath: z.string().nullable(),
    rootfsPath: z.string(),
    rootfsBytes: z.number(),
    workSeedPath: z.string().nullable(),
    workSeedBytes: z.number().describe('the smallest work disk'),
    packages: z.array(z.string()).describe('the manifest that it was made from'),
    packagesHash: z.string().nullable(),
    servicePorts: z.array(z.number()).describe('guest ports that a VM of it waits for'),
    entrypoint: z.array(z.string()).nullable(),
    env: z.record(z.string(), z.string()),
    user: z.string().nullable(),
    workdir: z.string().nullable(),
    stopSignal: z.number().nullable().describe('signal that asks the entrypoint to end; null: SIGTERM'),
    notes: z.array(z.string()).describe('what banger ignores of a foreign image'),
    workSeedFingerprint: z.string().nullable(),
    sshKeyFingerprint: z.string().nullable(),
    agentSha256: z.string().nullable().describe('of the agent in its initramfs'),
    buildLogPath: z.string().nullable(),
    createdAt: z.string(),
    vms: z.array(z.string()).describe('names of the VMs that boot from it'),
    templates: z.number().describe('how many templates there are, from which VMs are made without a boot'),
    stale: z.boolean().describe('the package manifest has changed since'),
    agentOutdated: z.boolean().describe('the runtime bundle has another guest agent'),
    rebuildCommand: z.string().nullable().describe('command that rebuilds it'),
  })
  .meta({ id: 'Image' });

export const registerImageSchema = z
  .strictObject({
    name: newName,
    rootfsPath: hostPath('ext4 root file system'),
    kernelPath: hostPath('vmlinux or bzImage').optional(),
    initramfsPath: hostPath('with the agent of banger; goes with the kernel').optional(),
    modulesPath: hostPath('archive of the modules').optional(),
    workSeedPath: hostPath('ext4 file system that work disks are cloned from').optional(),
    distribution: z.string().min(1).max(100).optional(),
    initSystem: initSystem.optional().describe('default systemd'),
    servicePorts: z.array(guestPort).max(16).optional(),
  })
  .meta({ id: 'RegisterImage' });

const stepName = z.string().max(100);
const packageName = z.string().regex(PACKAGE_NAME).max(200);

export const buildImageSchema = z
  .strictObject({
    name: newName,
    from: z.string().max(1024).optional().describe('image to build from; default: the default image'),
    distribution: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .describe('distribution of the base image, such as debian; void: from its packages, without a base image'),
    hostCa: z.boolean().optional().describe('whether the building guest trusts the authorities that were added to the host'),
    hostProxy: z.boolean().optional().describe('whether it uses the proxies of the host'),
    sizeBytes: z
      .number()
      .int()
      .min(LIMITS.diskBytes.min)
      .max(LIMITS.diskBytes.max)
      .multipleOf(LIMITS.diskStepBytes)
      .optional()
      .describe('of the root file system'),
    packages: z
      .strictObject({ path: hostPath('where the list was read'), names: z.array(packageName).max(5000) })
      .optional()
      .describe('instead of the development packages'),
    script: z
      .strictObject({ path: hostPath('where it was read'), text: z.string().max(512 * 1024) })
      .optional()
      .describe('run by the shell of the guest after the steps'),
    only: z.array(stepName).max(100).optional().describe('provisioning steps; default: all'),
    skip: z.array(stepName).max(100).optional().describe('provisioning steps to leave out'),
    replace: z.boolean().optional().describe('take over the name of an existing image'),
  })
  .meta({ id: 'BuildImage' });

export const provisionStepSchema = z
  .strictObject({
    name: z.string(),
    title: z.string(),
    packages: z.array(z.string()),
    needs: z.array(z.string()).describe('steps that come along'),
    isOptional: z.boolean().describe('runs only on request'),
    servicePorts: z.array(z.number()),
  })
  .meta({ id: 'ProvisionStep' });

export const promoteImageSchema = z
  .strictObject({ name: newName.optional().describe('name of a copy; default: change the image itself, which no VM may use then') })
  .nullish();

export const pruneImagesSchema = z
  .strictObject({ all: z.boolean().optional().describe('every unused image except the default one') })
  .nullish();

export const importImageSchema = z
  .strictObject({
    name: newName,
    path: hostPath('root file system as tar, OCI layout, or what docker save wrote'),
    reference: z.string().min(1).max(1024).optional().describe('which of several images'),
    replace: z.boolean().optional().describe('take over the name of an existing image'),
  })
  .meta({ id: 'ImportImage' });

export type ImportImage = z.infer<typeof importImageSchema>;
export type ImageView = z.infer<typeof imageSchema>;
export type RegisterImage = z.infer<typeof registerImageSchema>;
export type BuildImage = z.infer<typeof buildImageSchema>;
export type ProvisionStepView = z.infer<typeof provisionStepSchema>;
