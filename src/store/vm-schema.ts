// The parts of a VM that are kept as JSON, in its row and in its manifest.
import { z } from 'zod';

const processSchema = z.strictObject({ pid: z.number(), startTicks: z.number() });

export const specSchema = z.strictObject({
  vcpuCount: z.number(),
  memoryMib: z.number(),
  workDiskBytes: z.number(),
  rootOverlayBytes: z.number(),
  nat: z.boolean(),
  hostCa: z.boolean().exactOptional(),
  hostProxy: z.boolean().exactOptional(),
});

export const runtimeSchema = z.strictObject({
  bootId: z.string(),
  process: processSchema.exactOptional(),
  hypervisor: z.string().exactOptional(),
  accelerator: z.string().exactOptional(),
  storageDriver: z.string().exactOptional(),
  networkDriver: z.string().exactOptional(),
  guestAddress: z.string().exactOptional(),
  rescue: z.boolean().exactOptional(),
  troubles: z.array(z.strictObject({ reason: z.string(), remedy: z.string() })).exactOptional(),
});

export const labelsSchema = z.record(z.string(), z.string());

export const forwardsSchema = z.array(
  z.strictObject({ protocol: z.enum(['tcp', 'udp']), hostAddress: z.string(), hostPort: z.number(), guestPort: z.number() }),
);
