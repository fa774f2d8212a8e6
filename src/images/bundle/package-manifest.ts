import { parse } from 'smol-toml';
import { z } from 'zod';
import { BangerError } from '../../model/errors.ts';
import type { Release } from './release.ts';

/** The usual name of the file that `bundle package` writes beside the archive and `bundle fetch` takes. */
export const PACKAGE_MANIFEST_NAME = 'runtime-bundle.toml';

const packageSchema = z.strictObject({
  url: z.string().min(1).max(4096),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.number().int().positive(),
});

/** @returns the text of `runtime-bundle.toml`: the address of an archive, and its checksum */
export function renderPackageManifest(release: Required<Release>): string {
  return `# A runtime bundle of banger: banger bundle fetch ${PACKAGE_MANIFEST_NAME}
# The address may be relative to that of this file.
url = ${JSON.stringify(release.url)}
sha256 = "${release.sha256}"
size = ${release.sizeBytes}
`;
}

/**
 * @param from address of the manifest, for messages and relative addresses
 * @throws BUNDLE_BROKEN if it is malformed
 */
export function parsePackageManifest(text: string, from: string): Required<Release> {
  const parsed = packageSchema.safeParse(readToml(text, from));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw broken(from, `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'invalid'}`);
  }
  const { url, sha256, size } = parsed.data;
  const address = URL.canParse(url, from) ? new URL(url, from) : undefined;
  if (address === undefined || !['http:', 'https:', 'file:'].includes(address.protocol)) {
    throw broken(from, `url: ${JSON.stringify(url)} is no http, https or file address`);
  }
  // A web page must not make this machine read its own files.
  if (address.protocol === 'file:' && !from.startsWith('file:')) throw broken(from, 'url: it names a file of this machine');
  return { url: address.href, sha256, sizeBytes: size };
}

function readToml(text: string, from: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw broken(from, error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
  }
}

function broken(from: string, why: string): BangerError {
  return new BangerError('BUNDLE_BROKEN', `${from} is not the manifest of a runtime bundle: ${why}`, {
    remedy: 'use the runtime-bundle.toml published with the archive',
  });
}
