// The parts of a VM that are stored as JSON, in its row and in its manifest.
import { z } from 'zod';
import { type AllSettings, allSettings, type Member } from '../model/settings/all.ts';
import type { Setting, Unsaid, ValueOf } from '../model/settings/setting.ts';

const processSchema = z.strictObject({ pid: z.number(), startTicks: z.number() });

type Stored<One extends Setting> = Unsaid<One> extends true ? z.ZodExactOptional<z.ZodType<ValueOf<One>>> : z.ZodType<ValueOf<One>>;

/** Recorded values are accepted as they are: the range for new values may change with the program. */
function storedSchema({ kind, default: byDefault }: Setting): z.ZodType {
  const schema = kind === 'switch' ? z.boolean() : kind === 'text' ? z.string() : z.number();
  return byDefault === null ? schema.exactOptional() : schema;
}

export const specSchema = z.strictObject(
  Object.fromEntries(allSettings().map(([member, setting]) => [member, storedSchema(setting)])) as {
    [M in Member]: Stored<AllSettings[M]>;
  },
);

export const runtimeSchema = z.strictObject({
  bootId: z.string(),
  process: processSchema.exactOptional(),
  hypervisor: z.string().exactOptional(),
  accelerator: z.string().exactOptional(),
  storageDriver: z.string().exactOptional(),
  networkDriver: z.string().exactOptional(),
  guestAddress: z.string().exactOptional(),
  rescue: z.boolean().exactOptional(),
  resumes: z.boolean().exactOptional(),
  hasSshServer: z.boolean().exactOptional(),
  troubles: z.array(z.strictObject({ reason: z.string(), remedy: z.string() })).exactOptional(),
});

export const sleepSchema = z.strictObject({
  since: z.string(),
  why: z.enum(['idle', 'asked']),
  ports: z.array(z.strictObject({ guestPort: z.number(), hostPort: z.number() })),
});

export const keepAwakeSchema = z.strictObject({ until: z.string().nullable() });

export const labelsSchema = z.record(z.string(), z.string());

export const forwardsSchema = z.array(
  z.strictObject({ protocol: z.enum(['tcp', 'udp']), hostAddress: z.string(), hostPort: z.number(), guestPort: z.number() }),
);
