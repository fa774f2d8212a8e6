import { z } from 'zod';
import { BangerError } from '../../model/errors.ts';
import { ADDED_PROGRAMS, BUNDLE_PARTS } from '../../model/image.ts';
import type { BundleManifest, PackedManifest } from '../../model/image.ts';

/** The command that repairs a missing or broken bundle; every such error names it. */
export const BUNDLE_REMEDY = 'banger bundle build';
export const MANIFEST_NAME = 'bundle.json';

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);

const fileSchema = z.strictObject({
  // A manifest may come from a download: no part of it may point outside the bundle's directory.
  path: z
    .string()
    .min(1)
    .refine((path) => !path.startsWith('/') && !path.split('/').some((part) => part === '' || part === '.' || part === '..'), {
      error: 'must be a path inside the bundle',
    }),
  sizeBytes: z.number().int().nonnegative(),
  sha256: hexDigest,
});

const schemaOfEach = <Name extends string, Schema extends z.ZodType>(names: readonly Name[], schema: Schema): Record<Name, Schema> =>
  Object.fromEntries(names.map((name) => [name, schema])) as Record<Name, Schema>;

const commonShape = {
  formatVersion: z.literal(1),
  architecture: z.enum(['x86_64', 'aarch64']),
  distribution: z.string().min(1),
  kernelVersion: z.string().min(1),
  builtAt: z.iso.datetime({ offset: true }),
  inputsHash: hexDigest,
  packages: z.array(z.string()),
  packagesHash: hexDigest,
};
const filesSchema = z.strictObject({
  ...schemaOfEach(BUNDLE_PARTS, fileSchema),
  ...schemaOfEach(ADDED_PROGRAMS, fileSchema.extend({ version: z.string().min(1) }).optional()),
});
const manifestSchema: z.ZodType<BundleManifest> = z.strictObject({ ...commonShape, files: filesSchema });
const packedSchema: z.ZodType<PackedManifest> = z.strictObject({
  ...commonShape,
  files: filesSchema.omit({ sshPrivateKey: true, sshPublicKey: true }),
});

/**
 * @param text content of `bundle.json`
 * @param path of the file, for messages
 * @throws BangerError BUNDLE_BROKEN
 */
export function parseManifest(text: string, path: string): BundleManifest {
  return parseBy(manifestSchema, text, path);
}

/** The same for the `bundle.json` of an archive, which has no keys. @throws BangerError BUNDLE_BROKEN */
export function parsePackedManifest(text: string, path: string): PackedManifest {
  return parseBy(packedSchema, text, path);
}

function parseBy<T>(schema: z.ZodType<T>, text: string, path: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw broken(path, 'it is not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw broken(path, `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'invalid'}`);
}

function broken(path: string, why: string): BangerError {
  return new BangerError('BUNDLE_BROKEN', `The runtime bundle's ${path} cannot be used: ${why}.`, {
    remedy: BUNDLE_REMEDY,
    details: { path },
  });
}
