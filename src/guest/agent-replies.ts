import { z } from 'zod';
import { violation } from './reply-head.ts';

const text = (maxLength: number): z.ZodString => z.string().max(maxLength);
const count = z.number().int().nonnegative();

export const healthReply = z.object({
  status: z.literal('ok'),
  phase: z.enum(['initramfs', 'running']),
  personalized: z.boolean(),
  uptimeMs: z.number().nonnegative(),
  init: z.enum(['starting', 'running', 'degraded', 'maintenance', 'unknown']),
});

export const infoReply = z.object({
  agentVersion: text(64),
  hostname: text(255),
  kernel: text(255),
  initSystem: z.enum(['systemd', 'runit', 'none']),
  bootId: text(64),
  memoryTotalKib: count,
  memoryAvailableKib: count,
  cpuCount: count,
  loadAverage1: z.number().nonnegative(),
  sessions: count,
  // Missing in the replies of an agent from before an upgrade.
  disks: z
    .array(z.object({ path: text(64), sizeBytes: count, usedBytes: count }))
    .max(8)
    .optional(),
});

export const portsReply = z.object({
  ports: z
    .array(
      z.object({
        protocol: z.enum(['tcp', 'udp']),
        address: text(64).regex(/^[0-9a-fA-F.:]+$/),
        port: z.number().int().min(1).max(65_535),
        pid: count,
        process: text(256),
        command: text(256),
      }),
    )
    .max(512),
});

export const statReply = z.object({
  type: z.enum(['file', 'directory', 'symlink', 'other']),
  mode: count,
  sizeBytes: count,
});

/** More troubles than an honest agent has are refused. Without a body there are none, and the image has an SSH server. */
export const personalizeReply = z.object({
  troubles: z
    .array(
      z.object({
        what: text(200).transform(harmless),
        errno: z.number().int().min(1).max(4094),
        held: z.enum(['memory', 'read-only']).nullable(),
      }),
    )
    .max(32),
  // Agents of older bundles do not say.
  hasSshServer: z.boolean().optional(),
});

export type FileStatus = z.infer<typeof statReply>;

export const errorReply = z.object({ error: z.string(), errno: z.number().int().optional() });

/** @returns the reply of this shape. @throws AGENT_PROTOCOL */
export function parseReply<T>(schema: z.ZodType<T>, body: Buffer): T {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw violation('a reply that is not JSON');
  }
  const result = schema.safeParse(value);
  if (!result.success) throw violation(`a reply of the wrong shape (${result.error.issues[0]?.path.join('.') ?? 'top'})`);
  return result.data;
}

/** @returns text of a guest as one line that is safe on a terminal: control characters replaced, at most 300 characters */
export function harmless(guestText: string): string {
  return guestText.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, '?').slice(0, 300);
}
